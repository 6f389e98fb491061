import { AuthenticatorError } from '@sallyport/authenticator';
import type { Answer } from '../../chain/chain.ts';
import { withoutToken } from '../../logging/error-fields.ts';
import { type Counts, decisionNames, type History, type HistoryTimes, type Outage } from './document.ts';

/** In seconds. */
const bucketSeconds = 10;
/** A quarter of an hour. */
const buckets = 90;

const countNames = [...decisionNames, 'memory', 'redis', 'backend'] as const;
/** A row of the ring: the counts, then the sum of the backend's times, then the longest time of an answer. */
const rowLength = countNames.length + 2;
const columns = Object.fromEntries(countNames.map((name, index) => [name, index])) as Counts;
const secondsColumn = countNames.length;
const slowestColumn = countNames.length + 1;

interface Rows {
  /** One row for each bucket. It never grows. */
  readonly rows: Float64Array;
  /** The bucket of each row, counted from the clock's zero. */
  readonly bucketOfRow: Float64Array;
}

interface Followed extends Rows {
  outage?: { -readonly [Key in keyof Outage]: Outage[Key] };
}

/** The answers of the configured authenticators in the last quarter of an hour. */
export interface Histories {
  /** Sets the authenticators. One that stays keeps its history; those of others are dropped. */
  follow(names: readonly string[]): void;
  /** Never throws, and does not keep the token: it is removed from the message of a failure. */
  record(answer: Answer, token: string | undefined): void;
  times(): HistoryTimes;
  of(name: string): { readonly history: History; readonly outage?: Outage };
}

/** Milliseconds: `monotonic` for the buckets, `wall` since 1970. */
export interface HistoryClocks {
  readonly monotonic: () => number;
  readonly wall: () => number;
}

export function createHistories({ monotonic, wall }: HistoryClocks): Histories {
  const followed = new Map<string, Followed>();
  const bucketNow = () => Math.floor(monotonic() / (bucketSeconds * 1000));

  return {
    follow(names) {
      for (const name of followed.keys()) if (!names.includes(name)) followed.delete(name);
      for (const name of names) if (!followed.has(name)) followed.set(name, createRows());
    },
    record(answer, token) {
      const known = followed.get(answer.authenticator);
      // A reload has removed the authenticator, or it does not recognize the token.
      if (known === undefined || ('decision' in answer && !answer.recognized)) return;
      count(known, bucketNow(), answer);
      recordOutage(known, answer, token, wall);
    },
    times: () => ({
      bucketSeconds,
      buckets,
      lastFrom: Math.round(wall() - (monotonic() - bucketNow() * bucketSeconds * 1000)),
    }),
    of(name) {
      const { outage, ...rows }: Followed = followed.get(name) ?? createRows();
      return { history: read(rows, bucketNow()), ...(outage && { outage: { ...outage } }) };
    },
  };
}

function createRows(): Rows {
  return { rows: new Float64Array(buckets * rowLength), bucketOfRow: new Float64Array(buckets).fill(-1) };
}

function count({ rows, bucketOfRow }: Rows, bucket: number, answer: Answer): void {
  const row = bucket % buckets;
  const start = row * rowLength;
  if (bucketOfRow[row] !== bucket) {
    rows.fill(0, start, start + rowLength);
    bucketOfRow[row] = bucket;
  }
  const add = (column: number, value: number) => {
    rows[start + column] = (rows[start + column] ?? 0) + value;
  };
  rows[start + slowestColumn] = Math.max(rows[start + slowestColumn] ?? 0, answer.seconds);
  if ('error' in answer) {
    add(columns.error, 1);
    return;
  }
  const { decision, source, seconds } = answer;
  if (decision.kind === 'no-opinion') add(columns.unknown, 1);
  else if (source !== 'stale') add(columns[decision.kind], 1);
  if (source !== undefined) add(columns[source], 1);
  else if (isOfBackend(answer)) {
    add(columns.backend, 1);
    add(secondsColumn, seconds);
  }
}

/** A blocked user is refused without asking the backend. */
function isOfBackend(answer: Answer): boolean {
  if ('error' in answer || answer.source !== undefined) return false;
  return answer.decision.kind !== 'rejected' || answer.decision.reason !== 'blocked';
}

/** An outage lasts from the first failure until the backend answers. Its reason is the first: later ones are the circuit's. */
function recordOutage(known: Followed, answer: Answer, token: string | undefined, wall: () => number): void {
  const error = 'error' in answer ? answer.error : answer.failure;
  if (error === undefined) {
    if (isOfBackend(answer)) delete known.outage;
    return;
  }
  // This code concerns one token alone.
  if (AuthenticatorError.is(error) && error.code === 'failed') return;
  const seenAt = wall();
  known.outage ??= { since: seenAt, seenAt, reason: reasonOf(error, token), stale: 0, failed: 0 };
  known.outage.seenAt = seenAt;
  if ('error' in answer) known.outage.failed++;
  else known.outage.stale++;
}

/** Other errors can quote their input: see `logging/error-fields.ts`. */
function reasonOf(error: Error, token: string | undefined): string {
  if (!AuthenticatorError.is(error)) return `a bug in its plugin (${error.name})`;
  return withoutToken(error.message, token);
}

function read({ rows, bucketOfRow }: Rows, last: number): History {
  const inOrder = Array.from({ length: buckets }, (_, index) => {
    const bucket = last - buckets + 1 + index;
    const row = ((bucket % buckets) + buckets) % buckets;
    const start = row * rowLength;
    return bucketOfRow[row] === bucket ? rows.subarray(start, start + rowLength) : undefined;
  });
  const column = (index: number) => inOrder.map((row) => row?.[index] ?? 0);
  const total = (index: number) => column(index).reduce((sum, value) => sum + value, 0);
  const sum = Object.fromEntries(countNames.map((name) => [name, total(columns[name])])) as Counts;
  const slowests = column(slowestColumn).map((seconds) => rounded(seconds) || null);
  return {
    sum,
    mean: mean(total(secondsColumn), sum.backend),
    slowest: Math.max(...slowests.map((seconds) => seconds ?? 0)) || null,
    counts: Object.fromEntries(decisionNames.map((name) => [name, column(columns[name])])) as Record<
      (typeof decisionNames)[number],
      number[]
    >,
    means: inOrder.map((row) => mean(row?.[secondsColumn] ?? 0, row?.[columns.backend] ?? 0)),
    slowests,
  };
}

function mean(seconds: number, times: number): number | null {
  return times === 0 ? null : rounded(seconds / times);
}

/** Rounds to microseconds: the rest is noise. */
function rounded(seconds: number): number {
  return Math.round(seconds * 1e6) / 1e6;
}
