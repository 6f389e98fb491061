import type { TlsOptions } from '@sallyport/authenticator/options';

export interface HostPort {
  /** A name or an address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/** Where Redis is. `secure`: TLS, and the certificate is checked. */
export type Servers =
  | { readonly kind: 'server'; readonly secure: boolean; readonly database: number; readonly address: HostPort }
  | { readonly kind: 'socket'; readonly secure: false; readonly database: number; readonly path: string }
  | {
      readonly kind: 'sentinel';
      /** With the sentinels and with the server that they name. */
      readonly secure: boolean;
      readonly database: number;
      readonly sentinels: readonly HostPort[];
      /** What the sentinels call the master. */
      readonly name: string;
      readonly sentinelUsername?: string;
      readonly sentinelPassword?: string;
    }
  | { readonly kind: 'cluster'; readonly secure: boolean; readonly nodes: readonly HostPort[] };

export interface ConnectionOptions {
  readonly servers: Servers;
  /** An ACL user; left out: Redis' default one. */
  readonly username?: string;
  readonly password?: string;
  readonly tls: TlsOptions;
  /** Milliseconds, for each command and for making a connection. */
  readonly commandTimeout: number;
}
