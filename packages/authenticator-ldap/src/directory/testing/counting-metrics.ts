import type { Labels, Metrics } from '@sallyport/authenticator';

export interface CountingMetrics {
  readonly metrics: Metrics;
  /** By name and labels: `searches_total{server=ldap://a:389,result=success}`. Of histograms the number of values. */
  readonly values: ReadonlyMap<string, number>;
}

export function countingMetrics(): CountingMetrics {
  const values = new Map<string, number>();
  const of = (name: string, labels: Labels = {}) => {
    const text = Object.entries(labels).map(([label, value]) => `${label}=${value}`);
    return `${name}{${text.join()}}`;
  };
  const add = (name: string, labels: Labels | undefined, by: number) => {
    const key = of(name, labels);
    values.set(key, (values.get(key) ?? 0) + by);
  };
  const metrics: Metrics = {
    counter: ({ name }) => ({ inc: (labels, by = 1) => add(name, labels, by) }),
    gauge: ({ name }) => ({
      set: (labels, value) => values.set(of(name, labels), value),
      inc: (labels, by = 1) => add(name, labels, by),
      dec: (labels, by = 1) => add(name, labels, -by),
    }),
    histogram: ({ name }) => ({ observe: (labels) => add(name, labels, 1) }),
  };
  return { metrics, values };
}
