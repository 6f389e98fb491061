import type { StandardJSONSchemaV1, StandardSchemaV1 } from '@standard-schema/spec';
import type { Authenticator } from './authenticator.ts';
import type { TokenIssuer } from './token-issuer.ts';

/**
 * A logger writes structured lines, already marked with the authenticator's name. The message is a constant; what varies goes
 * into the fields. Never pass a token or a password. `sallyport check` shows what is logged at `warn` while `create` runs.
 */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** The values of a metric's labels. They are bounded by the config, never by callers: no username, no token. */
export type Labels<Name extends string = string> = Readonly<Partial<Record<Name, string | number>>>;

export interface MetricOptions<Name extends string> {
  /** The name without its prefix: `binds_total` of the plugin `ldap` is exported as `sallyport_plugin_ldap_binds_total`. */
  readonly name: string;
  /** Says the unit and what a rise means. */
  readonly help: string;
  /** The labels besides `authenticator`, which every metric of a plugin already has. */
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

/**
 * What the backend said about a password:
 *
 * - `unavailable`: nothing, since it was not sent, or since the backend can't check passwords, or refuses any password of an
 *   account that is locked. Such an attempt does not count, and the password may be sent again: settled as `refused`, the right
 *   password would stay refused after the account is unlocked.
 * - `unanswered`: it was sent, and then the connection ended. The backend may have counted it, so it counts as refused does, but
 *   the same password may be sent again while another slot is free. A later `accepted` for it gives the slot back.
 */
export type AttemptOutcome = 'accepted' | 'refused' | 'unavailable' | 'unanswered';

/**
 * An attempt that may be sent. It holds a slot until `settle` reports its result. One that is never settled counts as
 * refused after 60 s; a later `settle` still corrects that.
 */
export interface AdmittedAttempt {
  readonly admitted: true;
  /**
   * Frees the slot, and counts the attempt on `refused` and `unanswered`. A second call does nothing. Settle when the backend's work for
   * this subject has ended, not when you stop waiting for it: the slot is what bounds that work.
   */
  settle(outcome: AttemptOutcome): Promise<void>;
}

/** An attempt that must not be sent. */
export interface DeniedAttempt {
  readonly admitted: false;
  /**
   * `invalid-credentials`: this secret was refused for this subject a moment ago.
   * `throttled`: the subject had `lockout.maxFailures` refused attempts in `lockout.window`.
   */
  readonly reason: 'invalid-credentials' | 'throttled';
  /** When this secret was refused last. Left out: it was not, or the guard does not say when. For `trace` */
  readonly refusedAt?: Date;
}

/**
 * The lockout guard for plugins that send passwords to a directory which locks accounts. A secret that was right
 * before and not refused since is always admitted, so no one can lock another user out.
 */
export interface Attempts {
  /**
   * Call it before you send a password. It waits up to 1 s for attempts of this subject that are in progress: at most
   * three of them are sent at a time, and a fourth with a secret that was right before. Those with the same secret are
   * sent one after the other.
   *
   * @param subject the name as the backend knows it, never as typed: otherwise each spelling has a count of its own
   * @param secret stored only as a keyed digest
   * @param signal of the call: it ends the waiting. Left out: check your signal afterwards, settle `unavailable` and
   *   throw when it is aborted
   * @param username as in a decision about this user: `sallyport lockouts` lists it and `unlock` takes it. Left out: the
   *   subject
   * @throws AuthenticatorError `failed` for a new subject when very many (100,000) are counted, when 8 attempts of
   *   this subject wait already, or when those before them, here or on other replicas, or the Redis that counts them, take
   *   too long (1 s): do not catch it
   * @throws the reason of the signal when it is aborted
   */
  admit(
    subject: string,
    secret: string,
    signal?: AbortSignal,
    username?: string,
  ): Promise<AdmittedAttempt | DeniedAttempt>;
}

export interface WatchOptions {
  /** The file holds a secret, such as a key or tokens in clear: `sallyport check` warns when others may read it. */
  readonly secret?: boolean;
  /** Bytes: a bigger file is refused without being read. Default and maximum: 256 MiB. */
  readonly limit?: number;
}

/** What a plugin gets from the gateway when one of its authenticators is created. */
export interface PluginContext {
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** The folder of the config file, absolute: relative paths in options start here. */
  readonly baseDirectory: string;
  /** Aborted when the gateway no longer waits for `create`. */
  readonly signal: AbortSignal;
  readonly attempts: Attempts;
  /**
   * How long the gateway waits for one answer, in milliseconds: `timeout` of the authenticator in gateway.yaml. With it, a plugin can
   * warn of a deadline of its own, for one of several servers, that comes too late. Left out where a token issuer is made.
   */
  readonly timeout?: number;
  /**
   * Reads a file and follows its changes: `load` is called with its bytes now, and again whenever its content has changed
   * (checked every 2 s, and immediately on SIGHUP), until the authenticator is closed.
   *
   * The first call rejects when `load` throws or the file can't be read, and `create` fails with that. Later the gateway logs
   * such an error with the file's name, and what was loaded last stays in force: so parse all of a file first, and then apply
   * it in one assignment. Only `sallyport check` collects the first errors, to report all of them, and closes what `create`
   * returns.
   *
   * @param file relative to `baseDirectory`, or absolute
   */
  watchFile(
    file: string,
    load: (content: Buffer) => void | Promise<void>,
    options?: WatchOptions,
  ): Promise<void>;
  /**
   * Call it when a connection to the backend is established again after it was lost. If the circuit of this authenticator is
   * open, the next call goes out as its probe, and does not wait for the end of `circuit.openFor`. So call it once for each
   * connection that the backend has answered on, and pause between your attempts to connect. A plugin may ignore it.
   */
  readonly backendReconnected?: () => void;
}

/**
 * How long an authenticator's answers may be used by their nature.
 *
 * - `none`: they are not cached, since a lookup costs nothing.
 * - `memory`: for at most 5 s, in each gateway, since a token must be revocable immediately.
 * - `shared`: by all replicas that share a Redis, since lookups are expensive: 5 min, 30 s for a refusal and 10 s for no opinion.
 *
 * With the last two, the last `authenticated` is used for 10 min more while the authenticator throws. An authenticator's
 * `cache` in gateway.yaml overrides each lifetime and the place where answers are cached.
 */
export type Caching = 'none' | 'memory' | 'shared';

/** An `AuthenticatorPlugin` is a package's default export. */
export interface AuthenticatorPlugin<Options> {
  /** The version of this contract. The gateway refuses any other. */
  readonly specificationVersion: 1;
  /** One short word of lowercase letters and digits, such as `ldap`: it is part of the names of the plugin's metrics. */
  readonly name: string;
  /**
   * Validates `options` of gateway.yaml and describes them to editors. Any library that implements both Standard
   * Schema and Standard JSON Schema will do, such as zod from 4.2 on. Unknown keys are found by the gateway, from `properties`.
   * `{ env }` and `{ file }` have been replaced by their strings before. A string that is always a secret is described with
   * `writeOnly: true`: the gateway then warns when it is written in gateway.yaml itself.
   */
  readonly optionsSchema: StandardSchemaV1<unknown, Options> &
    StandardJSONSchemaV1<unknown, Options>;
  readonly caching: Caching;
  /**
   * Creates one authenticator. It must succeed while the backend is down: `authenticate` and `check` report an outage, and
   * the gateway starts all the same.
   *
   * @throws Error when the options can't work, naming the option and how to fix it
   */
  create(options: Options, context: PluginContext): Promise<Authenticator>;

  /**
   * Creates the issuer that `sallyport token create`, `token list` and `revoke` use. Left out: the plugin issues no tokens.
   * Like `create`, it does not wait for its backend.
   *
   * @throws Error when the options can't work for it, naming the option and how to fix it
   */
  createTokenIssuer?(options: Options, context: PluginContext): Promise<TokenIssuer>;
}
