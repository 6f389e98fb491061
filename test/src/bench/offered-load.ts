import { percentiles } from './drive.ts';
import type { Named } from './measure.ts';

/** What came of one rate that was offered. */
export interface OfferedPoint {
  /** Reviews a second. */
  readonly rate: number;
  /** In milliseconds, from the moment at which a review was due. */
  readonly p50: number;
  readonly p99: number;
}

export interface Offered {
  readonly name: string;
  readonly points: readonly OfferedPoint[];
}

/** Reviews a second: each about a third more than the one before. */
const rates: readonly number[] = [
  50, 100, 200, 300, 400, 550, 750, 1_000, 1_400, 1_900, 2_500, 3_300, 4_300, 5_700, 7_500, 10_000, 13_000,
];

const seconds = 2;

/** A server that has more unanswered can't keep up. The gateway answers 429 at 1,000 (`server.maxInFlight`). */
const mostUnanswered = 700;

/** Offers each contender more and more reviews a second, until it can't keep up. Loops alone get none: they take what they can. */
export async function offerMore(contenders: readonly Named[], progress: (words: string) => void): Promise<Offered[]> {
  const all: Offered[] = [];
  for (const { name, running } of contenders) {
    if (running.offer === undefined) continue;
    const points: OfferedPoint[] = [];
    for (const rate of rates) {
      progress(`${rate} reviews a second for ${name}`);
      const point = await running.offer(rate, seconds);
      if (point === undefined) break;
      points.push(point);
    }
    all.push({ name, points });
  }
  return all;
}

/**
 * Calls `once` at a fixed rate, whether or not it was answered before: as many clients do that know nothing of each other.
 *
 * @returns undefined if too many were unanswered
 */
export async function offer(
  rate: number,
  seconds: number,
  once: () => Promise<void>,
): Promise<OfferedPoint | undefined> {
  const times: number[] = [];
  const pending = new Set<Promise<void>>();
  const start = performance.now();
  const due = (index: number): number => start + (index * 1000) / rate;
  const isTooMuch = () => pending.size > mostUnanswered;
  let failed: unknown;
  for (let sent = 0; sent < rate * seconds && !isTooMuch() && failed === undefined; ) {
    for (; due(sent) <= performance.now() && !isTooMuch(); sent++) {
      const at = due(sent);
      const one = once().then(
        () => void times.push(performance.now() - at),
        (error: unknown) => {
          failed = error;
        },
      );
      pending.add(one);
      void one.then(() => pending.delete(one));
    }
    // A timer would be up to a millisecond late, which is as long as an answer takes.
    await new Promise((resolve) => setImmediate(resolve));
  }
  const gaveUp = isTooMuch();
  await Promise.all(pending);
  if (failed !== undefined) throw failed;
  return gaveUp ? undefined : { rate, ...percentiles(times) };
}
