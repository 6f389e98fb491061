import type { AuthenticatorPlugin } from '@sallyport/authenticator';
import type { ConnectionOptions } from '@sallyport/redis-connection';

/** One thing wrong with a config file. Holds no secret. */
export interface ConfigProblem {
  /** As it was given to `loadConfig`. */
  readonly file: string;
  /** From 1. Left out when the fault has no place in the file. */
  readonly line?: number;
  /** From 1. */
  readonly column?: number;
  /** Such as `authenticators[1].timeout`; empty when the fault is the file's as a whole. */
  readonly path: string;
  readonly message: string;
  readonly mend?: string;
}

/** An address to listen on. `host` is an IP address without brackets, or a name; port 0 takes a free one. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** Paths are absolute. Durations are milliseconds, sizes bytes, throughout. */
export interface TlsConfig {
  readonly certFile: string;
  readonly keyFile: string;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  /** Undefined with `clientAuth: none`, which must be said aloud: then nobody is asked for a certificate. */
  readonly client?: {
    readonly caFile: string;
    /** CN or SAN of a client certificate, exactly. Never empty: a cluster CA signs every kubelet too. */
    readonly names: readonly string[];
  };
}

export interface ServerConfig {
  readonly listen: ListenAddress;
  readonly tls?: TlsConfig;
  readonly apiAudiences: readonly string[];
  readonly reviewTimeout: number;
  readonly maxBodySize: number;
  readonly maxTokenSize: number;
  readonly maxInFlight: number;
  readonly maxConnectionAge: number;
  readonly shutdownDelay: number;
  readonly drainTimeout: number;
}

interface AdminConfig {
  readonly listen: ListenAddress;
  /** Left out: on a loopback address only. */
  readonly statusPage?: boolean | undefined;
}

export interface CircuitConfig {
  readonly minimumCalls: number;
  readonly openFor: number;
}

/** What the identity policy of one authenticator allows. */
export interface IdentityConfig {
  readonly username: { readonly prefix: string };
  /** `allow` left out: every group passes. */
  readonly groups: { readonly prefix: string; readonly allow?: readonly string[]; readonly max: number };
  readonly allowSystemNames: readonly string[];
  /** Whether it may set `authentication.kubernetes.io/credential-id`, the one `extra` key of Kubernetes' own domains. */
  readonly allowCredentialId: boolean;
}

export interface AuthenticatorConfig extends IdentityConfig {
  readonly name: string;
  /** As the config says it: a bare word, a package name or a path. */
  readonly use: string;
  /** The package it was loaded from, for messages. */
  readonly package: string;
  readonly plugin: AuthenticatorPlugin<unknown>;
  /** There is other code of the plugin on disk by now, which runs after a restart. */
  readonly needsRestart: boolean;
  /** Validated by the plugin's schema, secrets in place. Never logged. */
  readonly options: unknown;
  readonly timeout: number;
  readonly maxConcurrent: number;
  /** Lookups that wait for one of `maxConcurrent`. Not in the file: what `server.maxInFlight` leaves. */
  readonly maxWaiting: number;
  readonly circuit: CircuitConfig;
  readonly onError: 'continue' | 'stop';
  readonly cache: AuthenticatorCacheConfig | 'off';
  /**
   * Tells answers of one configuration from those of another: the same for the same name, plugin, plugin's version and
   * options as they are written, secrets as references. Every replica of one config makes the same.
   */
  readonly fingerprint: string;
  /**
   * What its plugin threw, as a problem at this authenticator's place in the file, naming it and its package. A message
   * that quotes a secret of its options, or one of `secrets`, is withheld.
   *
   * @param failure what it could not do; left out, that it "can't be made"
   */
  readonly problem: (cause: unknown, failure?: string, secrets?: readonly string[]) => ConfigProblem;
  /** What its plugin says, or that it quotes a secret of its options and is withheld. */
  readonly withhold: (words: string) => string;
}

/** How long answers are kept, counted from when the backend gave them. Milliseconds. */
export interface CacheLifetimes {
  readonly authenticatedTtl: number;
  readonly rejectedTtl: number;
  /** Of "no opinion". */
  readonly unknownTtl: number;
  /** Beyond `authenticatedTtl`, while the authenticator can't check. 0: not at all. */
  readonly staleTtl: number;
}

/** How the answers of one authenticator are kept, from its own `cache`, `cache` of the file and its plugin. */
export interface AuthenticatorCacheConfig extends CacheLifetimes {
  /** `memory`: in this process. `shared`: in the cache Redis as well, where there is one. */
  readonly store: 'memory' | 'shared';
}

/** The Redis that all replicas share. */
export interface CacheRedisConfig {
  readonly connection: ConnectionOptions;
  /** Milliseconds: what it may cost one review in all. */
  readonly timeout: number;
  /** Before every key. */
  readonly keyPrefix: string;
  /** At least 32 bytes each. The first seals, all open. Never empty, never logged. */
  readonly sealingKeys: readonly Uint8Array[];
}

export interface CacheConfig extends CacheLifetimes {
  readonly memory: { readonly maxEntries: number };
  /** Left out: memory only. */
  readonly redis?: CacheRedisConfig;
}

export interface LockoutConfig {
  readonly maxFailures: number;
  readonly window: number;
}

/** Where the audit trail goes. A file's path is absolute. */
export interface AuditConfig {
  readonly output: 'stdout' | { readonly file: string };
}

/** What is added to each identity. */
export interface ProvenanceConfig {
  /** The domain of the `extra` keys. */
  readonly keyPrefix: string;
}

/** Where spans go, by OTLP over HTTP. */
export interface TracingConfig {
  readonly endpoint: string;
  /** From 0 to 1: of the traces that begin here. Whoever calls with a trace of its own has decided. */
  readonly sampleRatio: number;
}

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** A whole gateway.yaml, valid, with defaults filled in. */
export interface GatewayConfig {
  /** The config file, absolute. */
  readonly file: string;
  /** Where relative paths start: the folder of `file`. */
  readonly baseDirectory: string;
  /** Of the file as it was read: the first 12 hexadecimal digits of its SHA-256. */
  readonly digest: string;
  /** Files named by `{ file }`, absolute: a change of one is a change of the config. */
  readonly secretFiles: readonly string[];
  /**
   * Code of plugins that are named by path, absolute: other code in one takes effect at a restart, and a load tells so
   * by `needsRestart`. Not the plugins that are packages, nor what a file imports.
   */
  readonly pluginFiles: readonly string[];
  readonly server: ServerConfig;
  readonly admin: AdminConfig;
  /** In the order they are asked. Never empty. */
  readonly authenticators: readonly AuthenticatorConfig[];
  readonly cache: CacheConfig;
  readonly lockout: LockoutConfig;
  /** Left out: no trail is kept. */
  readonly audit?: AuditConfig;
  /** Left out: nothing is added to identities. */
  readonly provenance?: ProvenanceConfig;
  /** Left out: no spans are made. */
  readonly tracing?: TracingConfig;
  readonly log: { readonly level: LogLevel };
  /** What works but should be changed. */
  readonly warnings: readonly ConfigProblem[];
}
