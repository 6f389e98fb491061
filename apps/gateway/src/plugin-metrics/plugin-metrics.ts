import type { Counter, Gauge, Histogram, Labels, MetricOptions, Metrics } from '@sallyport/authenticator';
import * as prometheus from 'prom-client';
import { checkBuckets, createNames } from './names.ts';

export interface PluginMetrics {
  /** What the plugin gets. */
  readonly metrics: Metrics;
  /** What is exported, see `renderMetrics`. */
  readonly registry: prometheus.Registry;
}

/** Seconds: from a look into memory to a backend that is as good as down. */
const defaultBuckets = [
  0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

/**
 * Makes the metrics of one authenticator in a registry of its own: names start with `sallyport_plugin_<plugin>_`, and
 * every series carries the label `authenticator`. All mistakes throw with the plugin's name in the message: a name that
 * is taken or not allowed when the metric is made, an unknown label or a value that is no number when it is used.
 *
 * @param plugin the plugin's own name; `-` becomes `_`
 * @param authenticator its name in the config, unique
 */
export function createPluginMetrics(plugin: string, authenticator: string): PluginMetrics {
  const registry = new prometheus.Registry();
  registry.setDefaultLabels({ authenticator });
  const take = createNames(`sallyport_plugin_${plugin.replaceAll('-', '_')}_`);
  const named = <Result>(name: string, act: () => Result): Result => {
    try {
      return act();
    } catch (error) {
      const reason = error instanceof Error ? error.message : 'threw something that is no Error';
      throw new Error(`metric ${name} of the plugin ${plugin}: ${reason}`, { cause: error });
    }
  };
  const settings = <Name extends string>(options: MetricOptions<Name>, type: 'counter' | 'gauge' | 'histogram') => ({
    name: take(options.name, options.labelNames ?? [], type),
    help: options.help,
    labelNames: [...(options.labelNames ?? [])],
    registers: [registry],
  });

  const metrics: Metrics = {
    counter<Name extends string = never>(options: MetricOptions<Name>): Counter<Name> {
      const { name } = options;
      const counter = named(name, () => new prometheus.Counter<Name>(settings(options, 'counter')));
      return { inc: (labels, value) => named(name, () => counter.inc(given(labels), value)) };
    },
    gauge<Name extends string = never>(options: MetricOptions<Name>): Gauge<Name> {
      const { name } = options;
      const gauge = named(name, () => new prometheus.Gauge<Name>(settings(options, 'gauge')));
      return {
        set: (labels, value) => named(name, () => gauge.set(given(labels), value)),
        inc: (labels, value) => named(name, () => gauge.inc(given(labels), value)),
        dec: (labels, value) => named(name, () => gauge.dec(given(labels), value)),
      };
    },
    histogram<Name extends string = never>(
      options: MetricOptions<Name> & { readonly buckets?: readonly number[] },
    ): Histogram<Name> {
      const { name, buckets = defaultBuckets } = options;
      const histogram = named(name, () => {
        checkBuckets(buckets);
        return new prometheus.Histogram<Name>({ ...settings(options, 'histogram'), buckets: [...buckets] });
      });
      return { observe: (labels, value) => named(name, () => histogram.observe(given(labels), value)) };
    },
  };
  return { metrics, registry };
}

/**
 * A copy, since prom-client keeps the object that it is given, without labels that are undefined, which it would
 * export as the word. Always an object, since prom-client forgets the value after labels that are left out.
 */
function given<Name extends string>(labels: Labels<Name> | undefined): Partial<Record<Name, string | number>> {
  const defined = Object.entries(labels ?? {}).filter(([, value]) => value !== undefined);
  return Object.fromEntries(defined) as Partial<Record<Name, string | number>>;
}
