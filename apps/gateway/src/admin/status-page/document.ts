/** The content of `/status.json`. Times are milliseconds since 1970, durations seconds. It has no token and no digest of one. */
export interface StatusDocument {
  readonly at: number;
  readonly gateway: {
    readonly version: string;
    readonly state: 'starting' | 'listening' | 'stopping';
    readonly startedAt: number;
    readonly inFlight: number;
    readonly maxInFlight: number;
  };
  readonly config: {
    readonly file: string;
    /** The first 12 digits of the SHA-256 of the file as it was read. */
    readonly digest: string;
    readonly loadedAt: number;
    /** What is on disk and not in force: the last refusal of each source that was not loaded since, newest first. */
    readonly refused: readonly RefusedReload[];
  };
  /** The buckets of all histories, oldest first. The last one still counts, and began at `lastFrom`. */
  readonly history: { readonly bucketSeconds: number; readonly buckets: number; readonly lastFrom: number };
  /** In the order in which they are asked. */
  readonly authenticators: readonly AuthenticatorStatus[];
  readonly cache: {
    readonly entries: number;
    readonly maxEntries: number;
    /** Left out without a shared Redis. */
    readonly redis?: { readonly circuitOpen: boolean };
  };
  readonly blocking: {
    /** Users, groups, tokens and sessions. */
    readonly blocked: number;
    /** Users who are locked out, as far as this replica knows. */
    readonly lockedOut: number;
    /** Seconds; left out without a shared Redis; null if the list was never read. */
    readonly listAge?: number | null;
    readonly cutOff: boolean;
  };
  /** Left out without a login server. */
  readonly login: LoginStatus | undefined;
  readonly certificates: readonly CertificateStatus[];
  /** Newest first. */
  readonly recent: readonly RecentReview[];
}

export interface RefusedReload {
  readonly what: string;
  readonly at: number;
  readonly problems: readonly string[];
}

/** The answers of an authenticator by decision. A `stale` one is not counted as `authenticated` as well. */
export const decisionNames = ['authenticated', 'stale', 'rejected', 'unknown', 'error'] as const;
type DecisionName = (typeof decisionNames)[number];

export interface History {
  /** Of all buckets together: the decisions, and where they came from. */
  readonly sum: Readonly<Record<DecisionName | 'memory' | 'redis' | 'backend', number>>;
  /** The mean time of the backend's answers, and the longest time of any answer; null if there was none. */
  readonly mean: number | null;
  readonly slowest: number | null;
  /** For each bucket. */
  readonly counts: Readonly<Record<DecisionName, readonly number[]>>;
  readonly means: readonly (number | null)[];
  readonly slowests: readonly (number | null)[];
}

export interface AuthenticatorStatus {
  readonly name: string;
  /** The package of its plugin. */
  readonly package: string;
  readonly circuit: 'closed' | 'half-open' | 'open';
  /** The result of its check, which runs at most every 10 s. */
  readonly healthy: boolean;
  readonly reason: string | undefined;
  /** Whether its answers are cached. */
  readonly cached: boolean;
  readonly onError: 'continue' | 'stop';
  /** Left out if its backend has answered since it last failed. */
  readonly outage: Outage | undefined;
  readonly history: History;
}

export interface Outage {
  readonly since: number;
  /** When a review last met it. */
  readonly seenAt: number;
  /** The reason of the first failure. */
  readonly reason: string;
  /** Reviews since then that got a stale answer, and reviews that got none. */
  readonly stale: number;
  readonly failed: number;
}

/** What happened at the login server since the start of this process. */
export interface LoginStatus {
  readonly publicUrl: string;
  readonly inFlight: number;
  readonly maxInFlight: number;
  readonly loggedIn: number;
  readonly refused: number;
  /** Logins that were over a limit, or that no backend answered. */
  readonly unanswered: number;
  readonly loggedOut: number;
  /** Sessions whose user was not confirmed by the directory. */
  readonly sessionsRefused: number;
}

export interface CertificateStatus {
  readonly certificate: 'server' | 'client-ca' | 'login';
  readonly subject: string;
  readonly endsAt: number;
}

export interface RecentReview {
  /** As in the log. */
  readonly id: string;
  readonly at: number;
  readonly outcome: 'authenticated' | 'rejected' | 'unknown' | 'error' | 'invalid' | 'overloaded';
  readonly reason: string | undefined;
  readonly authenticator: string | undefined;
  readonly username: string | undefined;
  readonly source: 'memory' | 'redis' | 'stale' | undefined;
  readonly seconds: number;
  /** The caller did not wait for the answer. */
  readonly callerGone: boolean;
}
