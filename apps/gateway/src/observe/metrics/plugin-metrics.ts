import type { HistogramOptions, Labels, Metrics } from '@sallyport/authenticator';
import * as prometheus from 'prom-client';

type Family = prometheus.MetricObjectWithValues<prometheus.MetricValue<string>>;

/** The default bounds in seconds, from a lookup in memory to a backend that is almost down. */
const defaultBuckets = [
  0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
  5, 10,
];

const kinds = {
  counter: { Metric: prometheus.Counter, methods: ['inc'], endings: [''] },
  gauge: { Metric: prometheus.Gauge, methods: ['set', 'inc', 'dec'], endings: [''] },
  histogram: {
    Metric: prometheus.Histogram,
    methods: ['observe'],
    endings: ['', '_bucket', '_sum', '_count'],
  },
} as const;

/**
 * Creates the metrics of one authenticator in a separate registry: names start with `sallyport_plugin_<plugin>_`, and
 * every series has the label `authenticator`. All mistakes throw an error that names the plugin.
 *
 * @param plugin the plugin's own name; `-` becomes `_`
 * @param authenticator its name in the config, unique
 */
export function createPluginMetrics(plugin: string, authenticator: string) {
  const registry = new prometheus.Registry();
  registry.setDefaultLabels({ authenticator });
  const take = createNames(`sallyport_plugin_${plugin.replaceAll('-', '_')}_`);
  const named = <Result>(name: string, act: () => Result): Result => {
    try {
      return act();
    } catch (error) {
      const reason =
        error instanceof Error ? error.message : 'threw something that is not an Error';
      throw new Error(`metric ${name} of the plugin ${plugin}: ${reason}`, { cause: error });
    }
  };
  const create = (kind: keyof typeof kinds) => (options: HistogramOptions<string>) => {
    const { name, help, labelNames = [], buckets = defaultBuckets } = options;
    const { Metric, methods, endings } = kinds[kind];
    const metric = named(name, () => {
      checkBuckets(buckets);
      const full = take(name, labelNames, endings);
      const settings = {
        name: full,
        help,
        labelNames: [...labelNames],
        buckets: [...buckets],
        registers: [registry],
      };
      return new Metric(settings) as unknown as Record<
        string,
        (labels: object, value?: number) => void
      >;
    });
    const call = (method: string) => (labels?: Labels, value?: number) =>
      named(name, () => metric[method]?.(given(labels), value));
    return Object.fromEntries(methods.map((method) => [method, call(method)]));
  };
  const metrics = {
    counter: create('counter'),
    gauge: create('gauge'),
    histogram: create('histogram'),
  };
  return { metrics: metrics as unknown as Metrics, registry };
}

/**
 * Copies the labels, because prom-client keeps the object that it is given. Undefined labels are left out, because
 * prom-client would export the word. Always returns an object: without one, prom-client ignores the value.
 */
function given(labels: Labels | undefined): Record<string, string | number> {
  const defined = Object.entries(labels ?? {}).filter(([, value]) => value !== undefined);
  return Object.fromEntries(defined) as Record<string, string | number>;
}

/**
 * Keeps the names of one authenticator unique, including the names of a histogram's series.
 *
 * @returns a function that returns the full name of a metric, and throws when it or a label can't be used. The rules
 *   are in https://prometheus.io/docs/concepts/data_model/ (colons are for recording rules, `__` is for Prometheus
 *   itself)
 */
function createNames(prefix: string) {
  const takenSeries = new Set<string>();
  return (name: string, labelNames: readonly string[], endings: readonly string[]): string => {
    if (typeof name !== 'string' || !/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name)) {
      throw new Error('a name has only letters, digits and _, and does not start with a digit');
    }
    for (const label of labelNames) checkLabel(label);
    if (new Set(labelNames).size < labelNames.length) throw new Error('a label is listed twice');
    const series = endings.map((ending) => `${prefix}${name}${ending}`);
    const clash = series.find((name) => takenSeries.has(name));
    if (clash !== undefined) throw new Error(`the name ${clash} is already taken`);
    for (const name of series) takenSeries.add(name);
    return `${prefix}${name}`;
  };
}

function checkLabel(label: string): void {
  if (label === 'authenticator')
    throw new Error('the label authenticator is reserved: every metric has it');
  if (typeof label !== 'string' || !/^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/.test(label)) {
    throw new Error(
      `the label ${JSON.stringify(label)} must have only letters, digits and _, and must not start with a digit or __`,
    );
  }
}

/** prom-client accepts any list of bounds, and counts wrongly when they do not ascend. */
function checkBuckets(buckets: readonly number[]): void {
  const areAscending = buckets.every(
    (bound, index) => Number.isFinite(bound) && bound > (buckets[index - 1] ?? -Infinity),
  );
  if (buckets.length === 0 || !areAscending)
    throw new Error('buckets must be finite numbers, ascending, at least one');
}

/**
 * Renders the metrics of the gateway and of every plugin as one text in the Prometheus exposition format. Each
 * family is there once, however many authenticators have it: the format allows HELP and TYPE only once for each name.
 *
 * Where plugins disagree on the type of a name, all its series are exported as `untyped`.
 */
export async function renderMetrics(
  gatewayRegistry: prometheus.Registry,
  plugins: readonly prometheus.Registry[],
): Promise<string> {
  const families = new Map<string, Family>();
  for (const registry of plugins) {
    // JSON already has the default labels, and the names of a histogram's series.
    for (const family of await registry.getMetricsAsJSON()) {
      const earlier = families.get(family.name);
      families.set(family.name, earlier ? join(earlier, family as Family) : (family as Family));
    }
  }
  // The gateway's own metrics are not aggregated: that would leave out metrics of Node that make no sense as a sum.
  const ours = await gatewayRegistry.metrics();
  if (families.size === 0) return ours;
  return `${ours}\n${await prometheus.AggregatorRegistry.aggregate([[...families.values()]]).metrics()}`;
}

/** Joins two families of one name. The series of two authenticators differ in that label, so no two are equal. */
function join(family: Family, addition: Family): Family {
  const type =
    family.type === addition.type ? family.type : ('untyped' as unknown as Family['type']);
  return { ...family, type, values: [...family.values, ...addition.values] };
}
