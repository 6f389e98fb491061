import type { Clocks } from '../../base/clocks.ts';
import { printable, printableLines } from '../../base/logging/printable.ts';
import type { AuthenticatorConfig, GatewayConfig } from '../../config/types.ts';
import type { GuardedLink } from '../../engine/chain/guard.ts';
import type { RevalidationResult } from '../../engine/sessions/session-user.ts';
import type { TlsMaterial } from '../../http/tls.ts';
import { isWithoutReview, type ReviewReport } from '../../review/review-report.ts';
import { describeDecision } from '../audit/entry.ts';
import type { LoginEvent } from '../audit/login-event.ts';
import type { Health, HealthChecks } from '../health.ts';
import type { RefusedReloads } from '../metrics/refused-reloads.ts';
import { createHistories, type Histories } from './history.ts';

/** The parts of the gateway that are read whenever the page is read. */
export interface StatusSources {
  readonly gateway: () => {
    readonly version: string;
    readonly state: Health['state'];
    readonly startedAt: number;
    readonly inFlight: number;
    readonly maxInFlight: number;
  };
  /** The authenticators of the chain that runs. */
  readonly links: () => readonly Pick<GuardedLink, 'name' | 'guard'>[];
  /** Checks each authenticator, at most every 10 s. */
  readonly health: () => Promise<HealthChecks>;
  /** The memory cache. `redis` is left out without a shared Redis. */
  readonly cache: () => {
    readonly entries: number;
    readonly redis?: { readonly circuitOpen: boolean };
  };
  readonly blocking: () => {
    /** The number of blocked users, groups, tokens and sessions. */
    readonly blocked: number;
    /** The number of users who are locked out, as far as this replica knows. */
    readonly lockedOut: number;
    /**
     * The age of the revocation list in seconds. It is left out without a shared Redis, and null if the list was never
     * read.
     */
    readonly listAge?: number | null;
    readonly cutOff: boolean;
  };
  readonly logins: () => ReturnType<typeof createLoginCounts>['counts'] & {
    readonly inFlight: number;
  };
  /** The reloads whose files are not in force, newest first. */
  readonly refused: RefusedReloads['list'];
  readonly clocks: Clocks;
}

/**
 * The content of `/status.json`. Times are milliseconds since 1970, durations seconds. It contains no token and no
 * digest of one.
 */
export type StatusDocument = Awaited<ReturnType<StatusCollector['document']>>;
export type AuthenticatorStatus = StatusDocument['authenticators'][number];

type StatusCollector = ReturnType<typeof createStatusCollector>;

/** Collects what the page shows. @param startConfig the config at the start */
export function createStatusCollector(startConfig: GatewayConfig, sources: StatusSources) {
  const { wall } = sources.clocks;
  const histories = createHistories(sources.clocks);
  const recent = createRecentReviews();
  let running = { config: startConfig, loadedAt: wall() };
  let certificates: TlsMaterial['certificates'] = [];
  /** Follows another config. */
  const follow = (config: GatewayConfig) => {
    running = { config, loadedAt: wall() };
    histories.follow(config.authenticators.map(({ name }) => name));
  };
  follow(startConfig);

  return {
    /**
     * Counts a review. It never throws, and takes a few microseconds. The memory depends only on the number of
     * authenticators.
     */
    record(report: ReviewReport) {
      recent.record(report);
      for (const answer of report.answers) histories.record(answer, report.token);
    },
    follow,
    /** Sets the certificates in force. */
    certificates(inForce: TlsMaterial['certificates']) {
      certificates = inForce;
    },
    async document() {
      const links = sources.links();
      const checks = await sources.health();
      const { config, loadedAt } = running;
      const { cache, login } = config;
      return {
        at: wall(),
        gateway: sources.gateway(),
        /** `refused` has what is on disk and not in force, newest first. */
        config: {
          file: printable(config.file),
          digest: config.digest,
          loadedAt,
          refused: sources.refused(),
        },
        history: histories.times(),
        /** The authenticators, in the order in which they are asked. */
        authenticators: config.authenticators.map((authenticator) => {
          const link = links.find(({ name }) => name === authenticator.name);
          const its = config.authenticators.find(
            ({ name }) => name === authenticator.directory?.authenticator,
          );
          return {
            ...describeStatus(authenticator, histories.of(authenticator.name), checks, its),
            circuit: link?.guard.circuitState ?? 'closed',
          };
        }),
        cache: { ...sources.cache(), maxEntries: cache.memory.maxEntries },
        blocking: sources.blocking(),
        /** It is undefined without a login server. */
        login: login && {
          ...sources.logins(),
          publicUrl: printable(login.publicUrl),
          maxInFlight: login.limits.inFlight,
        },
        certificates: certificates.map(({ certificate, subject, notAfter }) => {
          return { certificate, subject: printable(subject), endsAt: notAfter.getTime() };
        }),
        recent: recent.list(),
      };
    },
  };
}

function describeStatus(
  { name, package: from, cache, onError, withhold }: AuthenticatorConfig,
  { history, outage }: ReturnType<Histories['of']>,
  checks: HealthChecks,
  directory: AuthenticatorConfig | undefined,
) {
  // What a directory says is in the words of the authenticator too, so neither may quote a secret of the other.
  const shown = (words: string) =>
    printableLines(withhold(directory === undefined ? words : directory.withhold(words)));
  const check = checks.find((result) => result.name === name);
  const itsCheck = checks.find((result) => result.name === directory?.name);
  return {
    name,
    /** The package of its plugin. */
    package: printable(from),
    healthy: check?.ok ?? true,
    reason: check?.reason && shown(check.reason),
    /** The directory in which its users are looked up. Its check fails too while its circuit is open. */
    directory: directory && {
      name: directory.name,
      healthy: itsCheck?.ok ?? true,
      reason: itsCheck?.reason && shown(itsCheck.reason),
    },
    cached: cache !== 'off',
    onError,
    history,
    /** It is undefined if its backend has answered since it last failed. */
    outage: outage && { ...outage, reason: shown(outage.reason) },
  };
}

const maxReviews = 50;
/** Maximum number of characters of a text: the memory of a review must not depend on what callers and backends send. */
const maxTextLength = 256;

/** Keeps the last 50 reviews, without their tokens. */
export function createRecentReviews() {
  const reviews: ReturnType<typeof recentReview>[] = [];
  return {
    /** Adds a review. It never throws. */
    record(report: ReviewReport) {
      // Thousands a second can be refused before their token is read. They share one line, so that the reviews before
      // them stay.
      if (isWithoutReview(report.outcome) && reviews.at(-1)?.outcome === report.outcome)
        reviews.pop();
      if (reviews.push(recentReview(report)) > maxReviews) reviews.shift();
    },
    /** Lists the reviews, newest first. */
    list: () =>
      reviews.toReversed().map(({ reason, username, ...review }) => ({
        ...review,
        reason: reason && printable(reason),
        username: username && printable(username),
      })),
  };
}

function recentReview(report: ReviewReport) {
  const { id, at, outcome, seconds, callerGone } = report;
  const { reason, authenticator, username, subject, cached: source } = describeDecision(report);
  const texts = { reason: shortened(reason), username: shortened(username ?? subject) };
  return { id, at, outcome, seconds, callerGone, authenticator, source, ...texts };
}

/** Copies the text: a slice of a long text would keep all of it in memory. */
function shortened(text: string | undefined): string | undefined {
  if (text === undefined || text.length <= maxTextLength) return text;
  return `${Buffer.from(text.slice(0, maxTextLength)).toString()}…`;
}

/** Counts what the page shows of logins, since the start of this process. */
export function createLoginCounts() {
  const counts = { loggedIn: 0, refused: 0, unanswered: 0, loggedOut: 0, sessionsRefused: 0 };
  const record = (event: Omit<LoginEvent, 'details' | 'at' | 'seconds' | 'token'>): void => {
    const { action, outcome, isDecision, session, ended = 0 } = event;
    counts.loggedOut += ended;
    // A browser is sent to a provider by a request that decides nothing, but fails while the provider is down.
    if (!isDecision && action !== 'provider') return;
    // A login in a browser takes several requests. The last one makes its session.
    if (outcome === 'ok') counts.loggedIn += session === undefined ? 0 : 1;
    else if (outcome === 'refused') counts.refused += 1;
    // A login that still lacks its second factor goes on with another request.
    else if (!['invalid', 'gone', 'incomplete'].includes(outcome)) counts.unanswered += 1;
  };
  return {
    /** Counts a request. It never throws. */
    record,
    revalidated(result: RevalidationResult) {
      if (result === 'refused') counts.sessionsRefused += 1;
    },
    counts,
  };
}
