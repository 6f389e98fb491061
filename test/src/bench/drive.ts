/** The load of one turn: how many reviews, and how many of them at a time. */
export interface Order {
  readonly protocol: Protocol;
  /** The number of reviews in progress at a time. */
  readonly at: number;
  /** The turn ends after this many reviews or seconds, whichever comes first. */
  readonly reviews?: number;
  readonly seconds?: number;
}

export type Protocol = 'h2' | 'http1.1';

/** The result of an order. */
export interface Driven {
  readonly reviews: number;
  readonly seconds: number;
  /** The median latency in milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

/**
 * Keeps `at` calls of `once` in progress until the order is done.
 *
 * @param once receives 0, 1, 2 …, and throws for a wrong answer
 */
export async function drive(order: Order, once: (index: number) => Promise<void>): Promise<Driven> {
  const { at, reviews = Number.POSITIVE_INFINITY, seconds = Number.POSITIVE_INFINITY } = order;
  const times: number[] = [];
  const start = performance.now();
  const end = start + seconds * 1000;
  let sent = 0;
  const work = async (): Promise<void> => {
    for (let begun = performance.now(); sent < reviews && begun < end; ) {
      await once(sent++);
      const now = performance.now();
      times.push(now - begun);
      begun = now;
    }
  };
  await Promise.all(Array.from({ length: at }, work));
  const took = (performance.now() - start) / 1000;
  return { reviews: times.length, seconds: took, ...percentiles(times) };
}

export function percentiles(times: readonly number[]): Pick<Driven, 'p50' | 'p99'> {
  const sorted = Float64Array.from(times).sort();
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99) };
}

/** The result of one rate that was offered. */
export interface OfferedPoint {
  /** Reviews a second. */
  readonly rate: number;
  /** The median latency in milliseconds, from the moment at which a review was due. */
  readonly p50: number;
  readonly p99: number;
}

/** A server with more unanswered reviews can't keep up. The gateway answers 429 at 1,000 (`server.maxInFlight`). */
const maxUnanswered = 700;

/**
 * Calls `once` at a fixed rate, whether or not earlier calls were answered, like many clients that know nothing of each other.
 *
 * @returns undefined if too many calls were unanswered
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
  const isTooMuch = () => pending.size > maxUnanswered;
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
