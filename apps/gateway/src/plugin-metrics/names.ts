type MetricType = 'counter' | 'gauge' | 'histogram';

/** What a metric of that type is called in the exposition, besides its own name. */
const suffixes: Record<MetricType, readonly string[]> = {
  counter: [''],
  gauge: [''],
  histogram: ['', '_bucket', '_sum', '_count'],
};

/**
 * Keeps the names of one authenticator apart, those of a histogram's series included.
 *
 * @returns a function that gives the full name of a metric, and throws when it or a label can't be used. Rules:
 *   https://prometheus.io/docs/concepts/data_model/ (colons are for recording rules, `__` for Prometheus itself).
 */
export function createNames(prefix: string): (name: string, labelNames: readonly string[], type: MetricType) => string {
  const taken = new Set<string>();
  return (name, labelNames, type) => {
    if (typeof name !== 'string' || !/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name)) {
      throw new Error('a name is made of letters, digits and _, and starts with no digit');
    }
    for (const label of labelNames) checkLabel(label);
    if (new Set(labelNames).size < labelNames.length) throw new Error('a label is named twice');
    const series = suffixes[type].map((suffix) => `${prefix}${name}${suffix}`);
    const clash = series.find((one) => taken.has(one));
    if (clash !== undefined) throw new Error(`the name ${clash} is taken already`);
    for (const one of series) taken.add(one);
    return `${prefix}${name}`;
  };
}

function checkLabel(label: string): void {
  if (label === 'authenticator') throw new Error('the label authenticator is there already, on every metric');
  if (typeof label !== 'string' || !/^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/.test(label)) {
    throw new Error(
      `the label ${JSON.stringify(label)} is not made of letters, digits and _, or starts with a digit or __`,
    );
  }
}

/** prom-client takes any list of bounds, and counts wrongly where they do not ascend. */
export function checkBuckets(buckets: readonly number[]): void {
  const sound = buckets.every((bound, index) => Number.isFinite(bound) && bound > (buckets[index - 1] ?? -Infinity));
  if (buckets.length === 0 || !sound) throw new Error('buckets are finite numbers, ascending, at least one');
}
