type Labels = Readonly<Partial<Record<string, string | number>>>;
type Change = (labels?: Labels, by?: number) => void;

/** The metrics that a plugin receives. This package can't import the contract's own types. */
interface Metrics {
  counter(options: { readonly name: string }): { inc: Change };
  gauge(options: { readonly name: string }): {
    set: (labels: Labels, value: number) => void;
    inc: Change;
    dec: Change;
  };
  histogram(options: { readonly name: string }): {
    observe: (labels: Labels, value: number) => void;
  };
}

export interface CountingMetrics {
  readonly metrics: Metrics;
  /** Keys are names with labels: `errors_total{kind=timeout}`. */
  readonly values: ReadonlyMap<string, number>;
}

export function countingMetrics(): CountingMetrics {
  const values = new Map<string, number>();
  const of = (name: string, labels: Labels = {}) => {
    const text = Object.entries(labels).map(([label, value]) => `${label}=${value}`);
    return text.length === 0 ? name : `${name}{${text.join()}}`;
  };
  const add = (name: string, labels: Labels | undefined, by: number) => {
    const key = of(name, labels);
    values.set(key, (values.get(key) ?? 0) + by);
  };
  const metrics: Metrics = {
    counter: ({ name }) => ({ inc: (labels, by = 1) => add(name, labels, by) }),
    gauge: ({ name }) => ({
      set: (labels, value) => void values.set(of(name, labels), value),
      inc: (labels, by = 1) => add(name, labels, by),
      dec: (labels, by = 1) => add(name, labels, -by),
    }),
    histogram: ({ name }) => ({ observe: (labels) => add(name, labels, 1) }),
  };
  return { metrics, values };
}
