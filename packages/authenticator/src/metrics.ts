/** The values of a metric's labels. Bounded by the config, never by callers: no username, no token. */
export type Labels<Name extends string = string> = Readonly<Partial<Record<Name, string | number>>>;

export interface MetricOptions<Name extends string> {
  /** Without prefix: `binds_total` of the plugin `ldap` is exported as `sallyport_plugin_ldap_binds_total`. */
  readonly name: string;
  /** Says the unit and what a rise means. */
  readonly help: string;
  /** Besides `authenticator`, which every metric of a plugin carries already. */
  readonly labelNames?: readonly Name[];
}

export interface HistogramOptions<Name extends string> extends MetricOptions<Name> {
  /** Upper bounds, ascending, in the metric's unit (seconds for times). Left out: 50 µs to 10 s. */
  readonly buckets?: readonly number[];
}

export interface Counter<Name extends string> {
  inc(labels?: Labels<Name>, value?: number): void;
}

export interface Gauge<Name extends string> {
  set(labels: Labels<Name>, value: number): void;
  inc(labels?: Labels<Name>, value?: number): void;
  dec(labels?: Labels<Name>, value?: number): void;
}

export interface Histogram<Name extends string> {
  observe(labels: Labels<Name>, value: number): void;
}

/**
 * Makes metrics that are already prefixed with the plugin's name and labelled with the authenticator's. Each
 * authenticator has a registry of its own, so two of one plugin do not conflict.
 *
 * @throws Error on a name that is taken or that Prometheus' data model does not allow
 */
export interface Metrics {
  counter<Name extends string = never>(options: MetricOptions<Name>): Counter<Name>;
  gauge<Name extends string = never>(options: MetricOptions<Name>): Gauge<Name>;
  histogram<Name extends string = never>(options: HistogramOptions<Name>): Histogram<Name>;
}
