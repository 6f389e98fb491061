import type { Counter, Gauge, Histogram, HistogramOptions, Labels, MetricOptions, Metrics } from '../metrics.ts';

/** One metric that a plugin made, with all the labels that it gave values for. */
export interface RecordedMetric {
  /** As the gateway exports it: prefixed. */
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  /** In the order of the calls. */
  readonly labels: Readonly<Record<string, string | number>>[];
}

// Prometheus' data model; names that start with two underscores are its own.
const metricName = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const labelName = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/;
const takenLabels: readonly string[] = ['authenticator', 'le', 'quantile'];

/** Metrics that export nothing and are as strict about names and labels as the gateway's. */
export function recordingMetrics(pluginName: string): { metrics: Metrics; recorded: readonly RecordedMetric[] } {
  const recorded: RecordedMetric[] = [];

  function register({ name, help, labelNames = [] }: MetricOptions<string>): (labels?: Labels) => void {
    const metric: RecordedMetric = { name: `sallyport_plugin_${pluginName}_${name}`, help, labelNames, labels: [] };
    checkDeclaration(name, metric, recorded);
    recorded.push(metric);
    return (labels = {}) => metric.labels.push(checkedLabels(metric, labels));
  }

  function counter(options: MetricOptions<string>): Counter<string> {
    const record = register(options);
    return {
      inc(labels, value = 1) {
        if (!(value >= 0)) throw new Error(`The counter ${options.name} can't go down: it was told to add ${value}.`);
        record(labels);
      },
    };
  }

  function gauge(options: MetricOptions<string>): Gauge<string> {
    const record = register(options);
    return { set: (labels) => record(labels), inc: (labels) => record(labels), dec: (labels) => record(labels) };
  }

  function histogram(options: HistogramOptions<string>): Histogram<string> {
    const { buckets = [] } = options;
    if (buckets.some((bound, index) => index > 0 && !(bound > (buckets[index - 1] ?? Number.NaN)))) {
      throw new Error(`The buckets of ${options.name} must ascend.`);
    }
    const record = register(options);
    return { observe: (labels) => record(labels) };
  }

  return { metrics: { counter, gauge, histogram }, recorded };
}

function checkDeclaration(name: string, metric: RecordedMetric, others: readonly RecordedMetric[]): void {
  if (!metricName.test(name)) throw new Error(`"${name}" is no metric name: use letters, digits and underscores.`);
  if (others.some((other) => other.name === metric.name)) {
    throw new Error(`The metric ${name} is there already: make each metric once, in create().`);
  }
  if (metric.help.trim() === '') throw new Error(`The metric ${name} has no help: say its unit and what a rise means.`);
  for (const label of metric.labelNames) {
    if (!labelName.test(label)) throw new Error(`"${label}" of the metric ${name} is no label name.`);
    if (takenLabels.includes(label)) throw new Error(`The label ${label} of the metric ${name} is set by others.`);
  }
}

function checkedLabels(metric: RecordedMetric, labels: Labels): Record<string, string | number> {
  const given: Record<string, string | number> = {};
  for (const [label, value] of Object.entries(labels)) {
    if (!metric.labelNames.includes(label)) {
      throw new Error(`The metric ${metric.name} has no label ${label}: declare it in labelNames.`);
    }
    if (value !== undefined) given[label] = value;
  }
  return given;
}
