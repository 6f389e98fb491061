import type { Metric, Registry } from 'prom-client';

/**
 * Upper bounds in seconds, from an answer out of memory (50 µs) to the longest review. The steps between 1 and 5 are
 * small. 3 and 10 are the defaults of `timeout` and `reviewTimeout`, so they separate answers in time from late ones.
 */
export const durationBuckets: readonly number[] = [
  0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2,
  3, 5, 10,
];

/** The times of one series. Adding one takes a hundredth of what `observe` of a Histogram of prom-client takes. */
export interface Durations {
  count: number;
  sum: number;
  /** The number of times by bound, not cumulated. A time beyond the last bound is in none. */
  readonly buckets: number[];
}

export function createDurations(): Durations {
  return { count: 0, sum: 0, buckets: durationBuckets.map(() => 0) };
}

/** Adds a time in seconds. It never throws. */
export function addDuration(durations: Durations, seconds: number): void {
  const { buckets } = durations;
  durations.count += 1;
  durations.sum += seconds;
  for (let index = 0; index < durationBuckets.length; index++) {
    if (seconds <= (durationBuckets[index] as number)) {
      buckets[index] = (buckets[index] as number) + 1;
      return;
    }
  }
}

type Labels = Readonly<Record<string, string>>;
type Series = readonly [labels: Labels, value: number | Durations];

/**
 * @returns functions that register a metric each. `series` is read at each scrape. A histogram without a time is left
 *   out
 */
export function createFamilies(registry: Registry) {
  const ofType =
    (type: string) => (name: string, help: string, series: () => readonly Series[]) => {
      const makeLines = ([labels, value]: Series): object[] =>
        typeof value === 'number' ? [{ labels, value }] : makeHistogram(name, labels, value);
      const get = async () => ({
        name,
        help,
        type,
        values: series().flatMap(makeLines),
        aggregator: 'sum',
      });
      registry.registerMetric({ name, get } as unknown as Metric);
    };
  return { counter: ofType('counter'), gauge: ofType('gauge'), histogram: ofType('histogram') };
}

/** Makes a series for each key of `values`, which is the value of the label. `labels` come before it. */
export function byLabel<Value extends number | Durations>(
  label: string,
  values: Readonly<Record<string, Value>>,
  labels?: Labels,
): (readonly [Labels, Value])[] {
  return Object.entries(values).map(
    ([key, value]) => [{ ...labels, [label]: key }, value] as const,
  );
}

/** Creates a value for each key. */
export function fillRecord<Key extends string, Value>(
  keys: readonly Key[],
  create: () => Value,
): Record<Key, Value> {
  return Object.fromEntries(keys.map((key) => [key, create()])) as Record<Key, Value>;
}

/**
 * Counts by a name that the config has.
 *
 * @param label the label whose value is the name
 * @param create makes the counts of a name that is new
 */
export function createNamedCounts<Counts>(label: string, create: () => Counts) {
  let counts: ReadonlyMap<string, Counts> = new Map();
  return {
    /** Keeps these names, and drops the counts of all others: their series are removed. */
    follow(names: readonly string[]): void {
      counts = new Map(names.map((name) => [name, counts.get(name) ?? create()]));
    },
    /** @returns undefined for a name that a reload has removed */
    get: (name: string) => counts.get(name),
    /** Makes the series of each name. `labels` has the name. */
    listSeries: <Value extends number | Durations>(
      describe: (counts: Counts, labels: Labels) => readonly (readonly [Labels, Value])[],
    ) => [...counts].flatMap(([name, nameCounts]) => describe(nameCounts, { [label]: name })),
  };
}

function makeHistogram(name: string, labels: Labels, { count, sum, buckets }: Durations) {
  if (count === 0) return [];
  let below = 0;
  const cumulated = durationBuckets.map((le, index) => {
    below += buckets[index] ?? 0;
    return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: below };
  });
  return [
    ...cumulated,
    { metricName: `${name}_bucket`, labels: { le: '+Inf', ...labels }, value: count },
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: count },
  ];
}
