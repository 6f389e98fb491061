import type { AuthenticatorPlugin } from '@sallyport/authenticator';
import type { z } from 'zod';
import type { AuthenticatorCacheConfig } from './cache/lifetimes.ts';
import type { ConfigProblem } from './problems.ts';
import type { fileSchema } from './schema.ts';

export type { AuthenticatorCacheConfig, CacheLifetimes } from './cache/lifetimes.ts';
export type { ListenAddress } from './listen.ts';

type Immutable<Value> = Value extends Uint8Array
  ? Value
  : Value extends object
    ? { readonly [Key in keyof Value]: Immutable<Value[Key]> }
    : Value;

/**
 * gateway.yaml as its schema returns it: each value is good by itself, with defaults. Durations are milliseconds, sizes
 * bytes, throughout.
 */
export type FileConfig = Immutable<z.output<typeof fileSchema>>;

/** An entry of `authenticators`. Its plugin's options are as they are written. */
export type AuthenticatorSettings = FileConfig['authenticators'][number];

/** What the identity policy of one authenticator allows. */
export type IdentityConfig = Pick<
  AuthenticatorSettings,
  'username' | 'groups' | 'allowSystemNames' | 'allowCredentialId'
>;

export interface AuthenticatorConfig extends Omit<AuthenticatorSettings, 'options' | 'maxConcurrent' | 'cache'> {
  /** The package it was loaded from, for messages. */
  readonly package: string;
  readonly plugin: AuthenticatorPlugin<unknown>;
  /** Validated by the plugin's schema, secrets in place. Never logged. */
  readonly options: unknown;
  readonly maxConcurrent: number;
  /** How many lookups may wait for one of `maxConcurrent`. It is not in the file: it follows from `server.maxInFlight`. */
  readonly maxWaiting: number;
  readonly cache: AuthenticatorCacheConfig | 'off';
  /**
   * Separates the answers of one configuration from those of another: it is the same for the same name, plugin, code of
   * the plugin, and options as they are written, secrets as references. Every replica of one config makes the same.
   */
  readonly fingerprint: string;
  /**
   * What its plugin threw, as a problem at this authenticator's line of the file, naming it and its package. A message
   * that quotes a secret of its options, or one of `secrets`, is withheld.
   *
   * @param failure what it could not do; left out, that it "can't be made"
   */
  readonly problem: (cause: unknown, failure?: string, secrets?: readonly string[]) => ConfigProblem;
  /** Returns what its plugin says, or that it quotes a secret of its options and is withheld. */
  readonly withhold: (words: string) => string;
}

export type ServerConfig = FileConfig['server'];
export type TlsConfig = NonNullable<ServerConfig['tls']>;
export type CircuitConfig = AuthenticatorSettings['circuit'];
export type CacheRedisConfig = NonNullable<FileConfig['cache']['redis']>;
export type LockoutConfig = FileConfig['lockout'];
export type AuditConfig = NonNullable<FileConfig['audit']>;
export type TracingConfig = NonNullable<FileConfig['tracing']>;
export type LoginConfig = NonNullable<FileConfig['login']>;
export type LogLevel = FileConfig['log']['level'];

/** A whole gateway.yaml, valid and complete. Paths of files that the gateway reads itself are absolute. */
export interface GatewayConfig extends Omit<FileConfig, 'authenticators'> {
  /** The config file, absolute. */
  readonly file: string;
  /** Where relative paths start: the folder of `file`. */
  readonly baseDirectory: string;
  /** The first 12 hexadecimal digits of the SHA-256 of the file. */
  readonly digest: string;
  /** Files named by `{ file }`, absolute: a change of one is a change of the config. */
  readonly secretFiles: readonly string[];
  /** Plugins that are named by path, absolute. */
  readonly pluginFiles: readonly string[];
  /** In the order they are asked. Never empty. */
  readonly authenticators: readonly AuthenticatorConfig[];
  /** What works but should be changed. */
  readonly warnings: readonly ConfigProblem[];
}
