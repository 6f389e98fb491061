/** What `/status.json` tells. Times are milliseconds since 1970, durations seconds. It holds no token and no digest of one. */
export interface StatusDocument {
  readonly at: number;
  readonly gateway: GatewayStatus;
  readonly config: ConfigStatus;
  readonly history: HistoryTimes;
  /** In the order they are asked. */
  readonly authenticators: readonly AuthenticatorStatus[];
  readonly cache: CacheStatus;
  readonly stopping: StoppingStatus;
  readonly certificates: readonly CertificateStatus[];
  /** Newest first. */
  readonly recent: readonly RecentReview[];
}

export interface GatewayStatus {
  readonly version: string;
  readonly state: 'starting' | 'listening' | 'stopping';
  readonly startedAt: number;
  readonly inFlight: number;
  readonly maxInFlight: number;
}

interface ConfigStatus {
  readonly file: string;
  /** The first 12 digits of the SHA-256 of the file as it was read. */
  readonly digest: string;
  readonly loadedAt: number;
  /** What is on disk and not in force: the last refusal of each thing that was not taken in since. */
  readonly refused: readonly RefusedReload[];
}

export interface RefusedReload {
  readonly what: string;
  readonly at: number;
  readonly problems: readonly string[];
}

/** The buckets that all histories share, oldest first; the last one is still filling. */
export interface HistoryTimes {
  readonly bucketSeconds: number;
  readonly buckets: number;
  /** When the last bucket began. */
  readonly lastFrom: number;
}

/** What is counted of an authenticator's answers; `stale` are yes as well, and not among `yes`. */
export const countNames = ['yes', 'stale', 'refused', 'unknown', 'failed', 'memory', 'redis', 'backend'] as const;
type CountName = (typeof countNames)[number];
export type Counts = Readonly<Record<CountName, number>>;

export interface History {
  /** Of all buckets together. */
  readonly sum: Counts;
  /** What its backend took for the answers that it gave, and the most that any answer took; null: there was none. */
  readonly mean: number | null;
  readonly slowest: number | null;
  /** For each bucket. */
  readonly counts: Readonly<Record<'yes' | 'stale' | 'refused' | 'unknown' | 'failed', readonly number[]>>;
  readonly means: readonly (number | null)[];
  readonly slowests: readonly (number | null)[];
}

export interface AuthenticatorStatus {
  readonly name: string;
  /** The package that it is made by. */
  readonly package: string;
  readonly circuit: 'closed' | 'half-open' | 'open';
  /** What its check said; asked at most every 10 s. */
  readonly healthy: boolean;
  readonly reason?: string;
  /** Whether its answers are kept. */
  readonly cached: boolean;
  readonly onError: 'continue' | 'stop';
  /** Since its backend answered last, where it has not since it failed. */
  readonly outage?: Outage;
  readonly history: History;
}

export interface Outage {
  readonly since: number;
  /** When a review saw it last. */
  readonly seenAt: number;
  /** What failed first. */
  readonly reason: string;
  /** Reviews since: answered by an earlier answer, and not answered. */
  readonly stale: number;
  readonly failed: number;
}

export interface CacheStatus {
  readonly entries: number;
  readonly maxEntries: number;
  /** Left out: no Redis is shared. */
  readonly redis?: { readonly leftAlone: boolean };
}

export interface StoppingStatus {
  /** Users, groups and tokens. */
  readonly blocked: number;
  /** Users who are locked out, as far as this replica knows. */
  readonly lockedOut: number;
  /** Seconds; left out without a shared Redis; null: it was never read. */
  readonly listAge?: number | null;
  readonly cutOff: boolean;
}

export interface CertificateStatus {
  readonly certificate: 'server' | 'client-ca';
  readonly subject: string;
  readonly endsAt: number;
}

export interface RecentReview {
  /** As in the log. */
  readonly id: string;
  readonly at: number;
  readonly outcome: 'authenticated' | 'rejected' | 'unknown' | 'error' | 'invalid' | 'overloaded';
  readonly reason?: string;
  readonly authenticator?: string;
  readonly username?: string;
  readonly source?: 'memory' | 'redis' | 'stale';
  readonly seconds: number;
  /** Whoever asked did not wait. */
  readonly callerGone: boolean;
}
