import type { CacheSettings } from './cache/lifetimes.ts';
import type {
  AuthenticatorConfig,
  CacheConfig,
  CacheRedisConfig,
  GatewayConfig,
  ProvenanceConfig,
  ServerConfig,
  TlsConfig,
  TracingConfig,
} from './types.ts';

/** `server.tls` as it is written: which of the client settings belong together is a rule of its own. */
export interface TlsSettings {
  readonly certFile: string;
  readonly keyFile: string;
  readonly minVersion: TlsConfig['minVersion'];
  readonly clientCAFile?: string | undefined;
  readonly clientNames?: readonly string[] | undefined;
  readonly clientAuth?: 'none' | undefined;
}

/** `server` as it is written, with defaults. */
export interface ServerSettings extends Omit<ServerConfig, 'tls'> {
  readonly tls?: TlsSettings | undefined;
}

/** An entry of `authenticators` as it is written, with defaults; its plugin's options not yet looked at. */
export interface AuthenticatorSettings
  extends Pick<
    AuthenticatorConfig,
    | 'name'
    | 'use'
    | 'options'
    | 'timeout'
    | 'circuit'
    | 'onError'
    | 'username'
    | 'allowSystemNames'
    | 'allowCredentialId'
  > {
  /** Left out: follows from `server.maxInFlight`. */
  readonly maxConcurrent?: number | undefined;
  readonly groups: { readonly prefix: string; readonly allow?: readonly string[] | undefined; readonly max: number };
  /** Left out: follows from its plugin and the file's. */
  readonly cache?: CacheSettings | 'off' | undefined;
}

/** A whole file, each value of the right kind, with defaults; what the values say of each other is not yet judged. */
export interface FileConfig extends Pick<GatewayConfig, 'admin' | 'lockout' | 'log'> {
  readonly server: ServerSettings;
  readonly authenticators: readonly AuthenticatorSettings[];
  /** As it is written: `stdout`, or a path. */
  readonly audit?: { readonly output: string } | undefined;
  readonly provenance?: ProvenanceConfig | undefined;
  readonly tracing?: TracingConfig | undefined;
  readonly cache: Omit<CacheConfig, 'redis'> & { readonly redis?: CacheRedisConfig | undefined };
}
