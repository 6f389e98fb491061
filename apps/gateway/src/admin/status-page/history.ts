import { AuthenticatorError } from '@sallyport/authenticator';
import type { Answer } from '../../chain/chain.ts';
import { withoutToken } from '../../logging/error-fields.ts';
import { type Counts, countNames, type History, type HistoryTimes, type Outage } from './document.ts';

/** In seconds. */
const bucketSeconds = 10;
/** A quarter of an hour. */
const buckets = 90;

/** A row of the ring: the counts, then the sum of what backends took, then the most that an answer took. */
const rowLength = countNames.length + 2;
const columns = Object.fromEntries(countNames.map((name, index) => [name, index])) as Counts;
const secondsColumn = countNames.length;
const slowestColumn = countNames.length + 1;

interface Followed {
  /** One row a bucket. It never grows. */
  readonly rows: Float64Array;
  /** Which bucket, counted since the clock's zero, a row is about. */
  readonly bucketOfRow: Float64Array;
  outage?: { readonly since: number; readonly reason: string; seenAt: number; stale: number; failed: number };
}

/** What the authenticators of the config that runs have said over the last quarter of an hour. */
export interface Histories {
  /** From now on there are these; what is known of others goes. One that stays keeps its history. */
  follow(names: readonly string[]): void;
  /** Never throws. Nothing of the token is kept: it is left out of what an authenticator says of its failure. */
  record(answer: Answer, token: string | undefined): void;
  times(): HistoryTimes;
  of(name: string): { readonly history: History; readonly outage?: Outage };
}

/** Milliseconds: `monotonic` tells the buckets, `wall` since 1970. */
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
      for (const name of names) if (!followed.has(name)) followed.set(name, createFollowed());
    },
    record(answer, token) {
      const known = followed.get(answer.authenticator);
      // It has not looked at the token, or a reload has removed it.
      if (known === undefined || ('decision' in answer && !answer.recognized)) return;
      count(known, bucketNow(), answer);
      noteOutage(known, answer, token, wall);
    },
    times: () => ({
      bucketSeconds,
      buckets,
      lastFrom: Math.round(wall() - (monotonic() - bucketNow() * bucketSeconds * 1000)),
    }),
    of(name) {
      const { outage, ...rows } = followed.get(name) ?? createFollowed();
      return { history: read(rows, bucketNow()), ...(outage && { outage: { ...outage } }) };
    },
  };
}

function createFollowed(): Followed {
  return { rows: new Float64Array(buckets * rowLength), bucketOfRow: new Float64Array(buckets).fill(-1) };
}

function count({ rows, bucketOfRow }: Followed, bucket: number, answer: Answer): void {
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
    add(columns.failed, 1);
    return;
  }
  const { decision, source, seconds } = answer;
  if (decision.kind === 'rejected') add(columns.refused, 1);
  else if (decision.kind === 'no-opinion') add(columns.unknown, 1);
  else if (source !== 'stale') add(columns.yes, 1);
  if (source !== undefined) add(columns[source], 1);
  else if (isOfBackend(answer)) {
    add(columns.backend, 1);
    add(secondsColumn, seconds);
  }
}

/** A block is told without asking it. */
function isOfBackend(answer: Answer): boolean {
  if ('error' in answer || answer.source !== undefined) return false;
  return answer.decision.kind !== 'rejected' || answer.decision.reason !== 'blocked';
}

/** From its first failure until its backend has answered again: the first reason tells most, later ones are the circuit's. */
function noteOutage(known: Followed, answer: Answer, token: string | undefined, wall: () => number): void {
  const error = 'error' in answer ? answer.error : answer.failure;
  if (error === undefined) {
    if (isOfBackend(answer)) delete known.outage;
    return;
  }
  // This token alone: nothing is said of the next one.
  if (AuthenticatorError.is(error) && error.code === 'failed') return;
  const seenAt = wall();
  known.outage ??= { since: seenAt, seenAt, reason: reasonOf(error, token), stale: 0, failed: 0 };
  known.outage.seenAt = seenAt;
  if ('error' in answer) known.outage.failed++;
  else known.outage.stale++;
}

/** Other errors may quote what they met: see `logging/error-fields.ts`. */
function reasonOf(error: Error, token: string | undefined): string {
  if (!AuthenticatorError.is(error)) return `a fault of its plugin (${error.name})`;
  return withoutToken(error.message, token);
}

function read({ rows, bucketOfRow }: Omit<Followed, 'outage'>, last: number): History {
  const inOrder = Array.from({ length: buckets }, (_, index) => {
    const bucket = last - buckets + 1 + index;
    const row = ((bucket % buckets) + buckets) % buckets;
    const start = row * rowLength;
    return bucketOfRow[row] === bucket ? rows.subarray(start, start + rowLength) : undefined;
  });
  const column = (index: number) => inOrder.map((row) => row?.[index] ?? 0);
  const total = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);
  const sum = Object.fromEntries(countNames.map((name) => [name, total(column(columns[name]))])) as Counts;
  const slowests = column(slowestColumn);
  const means = inOrder.map((row) => mean(row?.[secondsColumn] ?? 0, row?.[columns.backend] ?? 0));
  const { yes, stale, refused, unknown, failed } = columns;
  return {
    sum,
    mean: mean(total(column(secondsColumn)), sum.backend),
    slowest: rounded(Math.max(...slowests)) || null,
    counts: {
      yes: column(yes),
      stale: column(stale),
      refused: column(refused),
      unknown: column(unknown),
      failed: column(failed),
    },
    means,
    slowests: slowests.map((seconds) => rounded(seconds) || null),
  };
}

function mean(seconds: number, times: number): number | null {
  return times === 0 ? null : rounded(seconds / times);
}

/** To the microsecond: what is beyond is noise. */
function rounded(seconds: number): number {
  return Math.round(seconds * 1e6) / 1e6;
}
