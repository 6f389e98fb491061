import type { TlsOptions } from '@sallyport/plugin-options';

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

/** What is said of what Redis is used for, and of which this package knows nothing. */
export interface Wording {
  /** Which ACL to compare a user's with: `the least one in the README`. */
  readonly leastAcl: string;
  /** What a value is that is of another type, in the place of the dots: `the value is of another type …`. */
  readonly wrongType: string;
  /** What it means when connections and commands fail, for the help of a metric: `tokens can not be checked`. */
  readonly consequence: string;
}
