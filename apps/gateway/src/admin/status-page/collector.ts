import type { GuardedLink } from '../../chain/guard.ts';
import type { AuthenticatorConfig, GatewayConfig } from '../../config/types.ts';
import { printable, printableLines } from '../../logging/printable.ts';
import type { ReloadSource } from '../../metrics/gateway-metrics.ts';
import type { OnReview } from '../../server/review-report.ts';
import type { TlsMaterial } from '../../server/tls.ts';
import type { HealthCheck } from '../health.ts';
import type {
  AuthenticatorStatus,
  BlockingStatus,
  CacheStatus,
  GatewayStatus,
  LoginStatus,
  RecentReview,
  RefusedReload,
  StatusDocument,
} from './document.ts';
import { createHistories, type HistoryClocks } from './history.ts';
import { createRecentReviews } from './recent.ts';

/** Collects what the page shows. */
export interface StatusCollector extends Pick<RefusedReloads, 'reloaded'> {
  /** Never throws. It takes a few microseconds; its memory depends only on the number of authenticators. */
  readonly record: OnReview;
  /** Sets the config that runs from now on. */
  follow(config: GatewayConfig): void;
  /** Sets the certificates that are in force from now on. */
  certificates(inForce: TlsMaterial['certificates']): void;
  document(): Promise<StatusDocument>;
}

/** What is read when the page is read. */
export interface StatusSources {
  readonly gateway: () => GatewayStatus;
  /** The authenticators of the chain that runs. */
  readonly links: () => readonly Pick<GuardedLink, 'name' | 'guard'>[];
  /** Checks each authenticator, at most every 10 s. */
  readonly health: () => Promise<readonly HealthCheck[]>;
  readonly cache: () => Omit<CacheStatus, 'maxEntries'>;
  readonly blocking: () => BlockingStatus;
  readonly logins: () => Omit<LoginStatus, 'publicUrl' | 'maxInFlight'>;
  readonly clocks: HistoryClocks;
}

/** @param config the one that runs at first */
export function createStatusCollector(config: GatewayConfig, sources: StatusSources): StatusCollector {
  const { clocks } = sources;
  const histories = createHistories(clocks);
  const recent = createRecentReviews();
  const refused = createRefusedReloads(clocks.wall);
  const health = createKnownHealth(sources.health, clocks.monotonic);
  let running = { config, loadedAt: clocks.wall() };
  let certificates: TlsMaterial['certificates'] = [];
  const follow = (next: GatewayConfig) => {
    running = { config: next, loadedAt: clocks.wall() };
    histories.follow(next.authenticators.map(({ name }) => name));
  };
  follow(config);

  async function document(): Promise<StatusDocument> {
    const links = sources.links();
    const checks = await health(links.map(({ name }) => name));
    const { config, loadedAt } = running;
    return {
      at: clocks.wall(),
      gateway: sources.gateway(),
      config: {
        file: printable(config.file),
        digest: config.digest,
        loadedAt,
        refused: refused.list().map(printableReload),
      },
      history: histories.times(),
      authenticators: config.authenticators.map((one) => ({
        ...statusOf(one, checks.get(one.name)),
        circuit: links.find(({ name }) => name === one.name)?.guard.circuitState ?? 'closed',
        ...printableOutage(histories.of(one.name), one),
      })),
      cache: { ...sources.cache(), maxEntries: config.cache.memory.maxEntries },
      blocking: sources.blocking(),
      ...loginOf(config, sources),
      certificates: certificates.map(({ certificate, subject, notAfter }) => {
        return { certificate, subject: printable(subject), endsAt: notAfter.getTime() };
      }),
      recent: recent.list().map(printableReview),
    };
  }

  return {
    record(report) {
      recent.record(report);
      for (const answer of report.answers) histories.record(answer, report.token);
    },
    follow,
    reloaded: refused.reloaded,
    certificates(inForce) {
      certificates = inForce;
    },
    document,
  };
}

function loginOf({ login }: GatewayConfig, { logins }: StatusSources): Pick<StatusDocument, 'login'> {
  if (login === undefined) return {};
  return { login: { ...logins(), publicUrl: printable(login.publicUrl), maxInFlight: login.limits.inFlight } };
}

function statusOf(
  { name, package: from, cache, onError, withhold }: AuthenticatorConfig,
  check: HealthCheck | undefined,
): Omit<AuthenticatorStatus, 'circuit' | 'outage' | 'history'> {
  return {
    name,
    package: printable(from),
    healthy: check?.ok ?? true,
    ...(check?.reason !== undefined && { reason: printableLines(withhold(check.reason)) }),
    cached: cache !== 'off',
    onError,
  };
}

type Known = Pick<AuthenticatorStatus, 'history' | 'outage'>;

function printableOutage({ history, outage }: Known, { withhold }: Pick<AuthenticatorConfig, 'withhold'>): Known {
  return { history, ...(outage && { outage: { ...outage, reason: printableLines(withhold(outage.reason)) } }) };
}

function printableReload({ what, at, problems }: RefusedReload): RefusedReload {
  return { what: printable(what), at, problems: problems.map(printableLines) };
}

function printableReview({ reason, username, ...review }: RecentReview): RecentReview {
  return {
    ...review,
    ...(reason !== undefined && { reason: printable(reason) }),
    ...(username !== undefined && { username: printable(username) }),
  };
}

/** In milliseconds. Older results are not shown. It is more than the 10 s for which the result of a check is reused. */
const knownFor = 15_000;

/**
 * Keeps the last results of the authenticators' checks, and does not wait for checks in progress: a backend that hangs
 * must not delay the page that shows it. It waits only if a result is missing or too old.
 *
 * @param check checks at most every 10 s
 * @param now monotonic milliseconds
 */
export function createKnownHealth(
  check: () => Promise<readonly HealthCheck[]>,
  now: () => number,
): (names: readonly string[]) => Promise<ReadonlyMap<string, HealthCheck>> {
  let known: ReadonlyMap<string, HealthCheck> = new Map();
  let knownAt = Number.NEGATIVE_INFINITY;
  return async (names) => {
    const checked = check().then((found) => {
      known = new Map(found.map((one) => [one.name, one]));
      knownAt = now();
    });
    if (now() - knownAt > knownFor || names.some((name) => !known.has(name))) await checked;
    return known;
  };
}

/** What is on disk and not in force. */
interface RefusedReloads {
  /** @param problems empty if the reload succeeded */
  reloaded(source: ReloadSource, problems: readonly string[]): void;
  /** Newest first. */
  list(): readonly RefusedReload[];
}

/**
 * Remembers the last refusal of each source. A config that is loaded clears all of them, since everything that it names
 * was loaded with it. `createReloadMetrics` has the same rule, but counts and knows no reasons.
 *
 * @param wall milliseconds since 1970
 */
export function createRefusedReloads(wall: () => number): RefusedReloads {
  const refused = new Map<ReloadSource, RefusedReload>();
  return {
    reloaded(source, problems) {
      refused.delete(source);
      const what = typeof source === 'string' ? source : source.file;
      if (problems.length > 0) refused.set(source, { what, at: wall(), problems });
      else if (source === 'config') refused.clear();
    },
    list: () => [...refused.values()].reverse(),
  };
}
