import type { GuardedLink } from '../../chain/guard.ts';
import type { AuthenticatorConfig, GatewayConfig } from '../../config/types.ts';
import { printable, printableLines } from '../../logging/printable.ts';
import type { OnReview } from '../../server/review-report.ts';
import type { TlsMaterial } from '../../server/tls.ts';
import type { HealthCheck } from '../health.ts';
import type {
  AuthenticatorStatus,
  CacheStatus,
  CertificateStatus,
  GatewayStatus,
  RecentReview,
  RefusedReload,
  StatusDocument,
  StoppingStatus,
} from './document.ts';
import { createHistories, type HistoryClocks } from './history.ts';
import { createKnownHealth } from './known-health.ts';
import { createRecentReviews } from './recent.ts';
import { createRefusals, type Refusals } from './refusals.ts';

/** What the page shows, gathered. */
export interface StatusCollector extends Pick<Refusals, 'reloaded'> {
  /** Never throws. A few microseconds, and memory that hangs on the number of authenticators alone. */
  readonly record: OnReview;
  /** This config runs from now on. */
  follow(config: GatewayConfig): void;
  /** These are in force from now on. */
  certificates(inForce: TlsMaterial['certificates']): void;
  document(): Promise<StatusDocument>;
}

/** What is looked at when somebody looks. */
export interface StatusSources {
  readonly gateway: () => GatewayStatus;
  /** Those of the chain that runs. */
  readonly links: () => readonly Pick<GuardedLink, 'name' | 'guard'>[];
  /** Asks each authenticator how it is, at most every 10 s. */
  readonly health: () => Promise<readonly HealthCheck[]>;
  readonly cache: () => Omit<CacheStatus, 'maxEntries'>;
  readonly stopping: () => StoppingStatus;
  readonly clocks: HistoryClocks;
}

/** @param config the one that runs at first */
export function createStatusCollector(config: GatewayConfig, sources: StatusSources): StatusCollector {
  const { clocks } = sources;
  const histories = createHistories(clocks);
  const recent = createRecentReviews();
  const refusals = createRefusals(clocks.wall);
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
        refused: refusals.list().map(printableRefusal),
      },
      history: histories.times(),
      authenticators: config.authenticators.map((one) => ({
        ...statusOf(one, checks.get(one.name)),
        circuit: links.find(({ name }) => name === one.name)?.guard.circuitState ?? 'closed',
        ...printableOutage(histories.of(one.name), one),
      })),
      cache: { ...sources.cache(), maxEntries: config.cache.memory.maxEntries },
      stopping: sources.stopping(),
      certificates: certificates.map(certificateStatus),
      recent: recent.list().map(printableReview),
    };
  }

  return {
    record(report) {
      recent.record(report);
      for (const answer of report.answers) histories.record(answer, report.token);
    },
    follow,
    reloaded: refusals.reloaded,
    certificates(inForce) {
      certificates = inForce;
    },
    document,
  };
}

function statusOf(
  { name, package: from, cache, onError, withhold }: AuthenticatorConfig,
  check: HealthCheck | undefined,
): Pick<AuthenticatorStatus, 'name' | 'package' | 'healthy' | 'reason' | 'cached' | 'onError'> {
  return {
    name,
    package: printable(from),
    healthy: check?.ok ?? true,
    ...(check?.reason !== undefined && { reason: printableLines(withhold(check.reason)) }),
    cached: cache !== 'off',
    onError,
  };
}

function printableOutage(
  known: Pick<AuthenticatorStatus, 'history' | 'outage'>,
  { withhold }: Pick<AuthenticatorConfig, 'withhold'>,
): Pick<AuthenticatorStatus, 'history' | 'outage'> {
  const { history, outage } = known;
  return { history, ...(outage && { outage: { ...outage, reason: printableLines(withhold(outage.reason)) } }) };
}

function printableRefusal({ what, at, problems }: RefusedReload): RefusedReload {
  return { what: printable(what), at, problems: problems.map(printableLines) };
}

function printableReview({ reason, username, ...review }: RecentReview): RecentReview {
  return {
    ...review,
    ...(reason !== undefined && { reason: printable(reason) }),
    ...(username !== undefined && { username: printable(username) }),
  };
}

function certificateStatus({ certificate, subject, notAfter }: TlsMaterial['certificates'][number]): CertificateStatus {
  return { certificate, subject: printable(subject), endsAt: notAfter.getTime() };
}
