import { AggregatorRegistry, type MetricObjectWithValues, type MetricValue, type Registry } from 'prom-client';

type Family = MetricObjectWithValues<MetricValue<string>>;

/**
 * One text in the Prometheus exposition format of the gateway's own metrics and those of every plugin. Each family
 * stands there once, however many authenticators have it: Prometheus' format allows HELP and TYPE only once a name.
 *
 * Where plugins disagree on the type of a name, its series are exported as `untyped`, none left out.
 */
export async function renderMetrics(own: Registry, plugins: readonly Registry[]): Promise<string> {
  const families = new Map<string, Family>();
  for (const registry of plugins) {
    // JSON, since it has the default labels put in and a histogram's series with their names.
    for (const family of await registry.getMetricsAsJSON()) {
      const before = families.get(family.name);
      families.set(family.name, before ? join(before, family as Family) : (family as Family));
    }
  }
  // The gateway's own go out as they are: aggregating would leave out those of Node that make no sense as a sum.
  const ours = await own.metrics();
  if (families.size === 0) return ours;
  return `${ours}\n${await AggregatorRegistry.aggregate([[...families.values()]]).metrics()}`;
}

/** The series of two authenticators differ in that label, so no two are the same. */
function join(one: Family, other: Family): Family {
  const type = one.type === other.type ? one.type : ('untyped' as unknown as Family['type']);
  return { ...one, type, values: [...one.values, ...other.values] };
}
