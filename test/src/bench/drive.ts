/** How much is asked, and how much of it at a time. */
export interface Order {
  readonly protocol: Protocol;
  /** Reviews in progress at a time. */
  readonly at: number;
  /** Ends after so many reviews, or so many seconds: whatever comes first. */
  readonly reviews?: number;
  readonly seconds?: number;
}

export type Protocol = 'h2' | 'http1.1';

/** What came of an order. */
export interface Driven {
  readonly reviews: number;
  readonly seconds: number;
  /** In milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

/**
 * Keeps `at` calls of `once` in progress until the order is done.
 *
 * @param once receives 0, 1, 2 …; it throws for a wrong answer
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
