import { AuthenticatorError } from '@sallyport/authenticator';
import type { Clocks } from '../../base/clocks.ts';
import { withoutToken } from '../../base/logging/error-fields.ts';
import type { Answer } from '../../engine/chain/chain.ts';

const bucketSeconds = 10;
/** The number of buckets, which are a quarter of an hour. */
const buckets = 90;

/** The answers of an authenticator by decision. A `stale` one is not counted as `authenticated` as well. */
const decisionNames = ['authenticated', 'stale', 'rejected', 'unknown', 'error'] as const;
/** The names of the counts: the decisions, and where they came from. */
const countNames = [...decisionNames, 'memory', 'redis', 'backend'] as const;

type Bucket = ReturnType<typeof createBucket>;

interface LinkHistory {
  /** The buckets, oldest first, without those in which nothing was counted. */
  readonly buckets: Bucket[];
  /**
   * The outage, since which reviews got stale answers or none. A review last met it at `seenAt`. The reason is the
   * first one.
   */
  outage:
    | { since: number; seenAt: number; reason: string; stale: number; failed: number }
    | undefined;
}

export type Histories = ReturnType<typeof createHistories>;

/** Counts the answers of the configured authenticators in the last quarter of an hour. */
export function createHistories({ monotonic, wall }: Clocks) {
  const histories = new Map<string, LinkHistory>();
  const bucketNow = () => Math.floor(monotonic() / (bucketSeconds * 1000));
  return {
    /** Sets the authenticators. One that stays keeps its history. The histories of others are dropped. */
    follow(names: readonly string[]) {
      for (const name of histories.keys()) if (!names.includes(name)) histories.delete(name);
      for (const name of names)
        if (!histories.has(name)) histories.set(name, { buckets: [], outage: undefined });
    },
    /**
     * Counts an answer. It never throws, and does not keep the token, which is removed from the message of a failure.
     */
    record(answer: Answer, token: string | undefined) {
      const history = histories.get(answer.authenticator);
      // A reload has removed the authenticator, or it does not recognize the token.
      if (history === undefined || ('decision' in answer && !answer.recognized)) return;
      count(findBucket(history, bucketNow()), answer);
      recordOutage(history, answer, token, wall);
    },
    /** The times of the buckets of all histories, oldest first. The last one still counts, and began at `lastFrom`. */
    times: () => ({
      bucketSeconds,
      buckets,
      lastFrom: Math.round(wall() - (monotonic() % (bucketSeconds * 1000))),
    }),
    of(name: string) {
      const history = histories.get(name);
      return { history: read(history?.buckets ?? [], bucketNow()), outage: history?.outage };
    },
  };
}

/**
 * Creates an empty bucket, whose number counts from the zero of the clock. `seconds` are the times of the backend
 * together, and `slowest` is the longest time of an answer, in seconds.
 */
function createBucket(number: number) {
  const decisions = { authenticated: 0, stale: 0, rejected: 0, unknown: 0, error: 0 };
  return { number, ...decisions, memory: 0, redis: 0, backend: 0, seconds: 0, slowest: 0 };
}

function findBucket(history: LinkHistory, number: number): Bucket {
  const last = history.buckets.at(-1);
  if (last?.number === number) return last;
  const next = createBucket(number);
  if (history.buckets.push(next) > buckets) history.buckets.shift();
  return next;
}

function count(bucket: Bucket, answer: Answer): void {
  bucket.slowest = Math.max(bucket.slowest, answer.seconds);
  if ('error' in answer) {
    bucket.error++;
    return;
  }
  const { decision, source, seconds } = answer;
  if (decision.kind === 'no-opinion') bucket.unknown++;
  else if (source !== 'stale') bucket[decision.kind]++;
  if (source !== undefined) bucket[source]++;
  else if (isOfBackend(answer)) {
    bucket.backend++;
    bucket.seconds += seconds;
  }
}

/** Whether the backend gave the answer. It does not for a blocked user. */
function isOfBackend(answer: Answer): boolean {
  if ('error' in answer || answer.source !== undefined) return false;
  return answer.decision.kind !== 'rejected' || answer.decision.reason !== 'blocked';
}

/**
 * Follows an outage, from the first failure until the backend answers. It keeps the first reason: later ones come from
 * the circuit.
 */
function recordOutage(
  history: LinkHistory,
  answer: Answer,
  token: string | undefined,
  wall: () => number,
): void {
  const error = 'error' in answer ? answer.error : answer.failure;
  if (error === undefined) {
    if (isOfBackend(answer)) history.outage = undefined;
    return;
  }
  const isOwn = AuthenticatorError.is(error);
  // This code concerns one token alone.
  if (isOwn && error.code === 'failed') return;
  const seenAt = wall();
  // Other errors can quote their input: see `base/logging/error-fields.ts`.
  const reason = () =>
    isOwn ? withoutToken(error.message, token) : `a bug in its plugin (${error.name})`;
  history.outage ??= { since: seenAt, seenAt, reason: reason(), stale: 0, failed: 0 };
  history.outage.seenAt = seenAt;
  if ('error' in answer) history.outage.failed++;
  else history.outage.stale++;
}

function read(recorded: readonly Bucket[], last: number) {
  const oldest = last - buckets + 1;
  const inOrder = Array.from({ length: buckets }, (_, index) => createBucket(oldest + index));
  for (const bucket of recorded)
    if (bucket.number >= oldest) inOrder[bucket.number - oldest] = bucket;
  const column = (name: keyof Bucket) => inOrder.map((bucket) => bucket[name]);
  const total = (name: keyof Bucket) => column(name).reduce((sum, value) => sum + value, 0);
  const slowests = column('slowest').map(rounded);
  return {
    /** The counts of all buckets together. `mean` and `slowest` are seconds, and null if no backend answered. */
    sum: byName(countNames, total),
    mean: mean(total('seconds'), total('backend')),
    slowest: Math.max(...slowests) || null,
    /** The counts of each bucket. */
    counts: byName(decisionNames, column),
    means: inOrder.map(({ seconds, backend }) => mean(seconds, backend)),
    slowests: slowests.map((seconds) => seconds || null),
  };
}

function byName<Name extends string, Value>(names: readonly Name[], value: (name: Name) => Value) {
  return Object.fromEntries(names.map((name) => [name, value(name)])) as Record<Name, Value>;
}

function mean(seconds: number, times: number): number | null {
  return times === 0 ? null : rounded(seconds / times);
}

/** Rounds to microseconds: the rest is noise. */
function rounded(seconds: number): number {
  return Math.round(seconds * 1e6) / 1e6;
}
