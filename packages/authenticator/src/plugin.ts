import type { StandardJSONSchemaV1, StandardSchemaV1 } from '@standard-schema/spec';
import type { Attempts } from './attempts.ts';
import type { Authenticator } from './authenticator.ts';
import type { Metrics } from './metrics.ts';
import type { TokenIssuer } from './token-issuer.ts';

/** Structured logging, already marked with the authenticator's name. Never pass a token or a password. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface WatchOptions {
  /** The file holds a secret, such as a key or tokens in clear: `sallyport check` warns when others may read it. */
  readonly secret?: boolean;
  /** In bytes: a bigger file is refused without being read. Left out, and at most: 256 MiB. */
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
   * Reads a file and follows its changes: `load` is called with its bytes now, and again whenever its content has changed
   * (checked every 2 s, and at once on SIGHUP), until the authenticator is closed.
   *
   * The first call rejects when `load` throws or the file can't be read, and `create` fails with that. Later the gateway
   * logs such an error with the file's name, and what was loaded last stays in force: so apply a file only when all of it
   * is good. Only `sallyport check` collects the first errors, to report all of them, and closes what `create` returns.
   *
   * @param file relative to `baseDirectory`, or absolute
   */
  watchFile(file: string, load: (content: Buffer) => void | Promise<void>, options?: WatchOptions): Promise<void>;
}

/** How long-lived an authenticator's answers may be by their nature; the config can override it. */
export type Caching = 'none' | 'memory' | 'shared';

/** A package's default export. */
export interface AuthenticatorPlugin<Options> {
  /** The version of this contract. The gateway refuses any other. */
  readonly specificationVersion: 1;
  /** A short lowercase word, such as `ldap`: it is part of the names of the plugin's metrics. */
  readonly name: string;
  /**
   * Validates `options` of gateway.yaml and describes them to editors. Any library that implements both Standard
   * Schema and Standard JSON Schema will do, such as zod from 4.2 on. Unknown keys are found by the gateway, from `properties`.
   * `{ env }` and `{ file }` have been replaced by their strings before. A text that is always a secret is described with
   * `writeOnly: true`: the gateway then warns when it is written in gateway.yaml itself.
   */
  readonly optionsSchema: StandardSchemaV1<unknown, Options> & StandardJSONSchemaV1<unknown, Options>;
  /**
   * `none`: not cached (looking it up costs nothing). `memory`: for at most 5 s, in each gateway (it must be revocable
   * at once). `shared`: for minutes, by all replicas that share a Redis (lookups are expensive). An authenticator's `cache` in
   * gateway.yaml overrides it, each lifetime and the place where answers are cached.
   */
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
