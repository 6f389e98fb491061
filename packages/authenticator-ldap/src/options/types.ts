import type { TlsOptions } from '@sallyport/plugin-options';
import type { Server } from '../connection/types.ts';
import type { FilterTemplate } from '../filter/filter-template.ts';
import type { DnTemplate, NameTemplate } from '../filter/templates.ts';

/** `options` of gateway.yaml once validated: durations are milliseconds; templates and URLs are parsed. */
export interface LdapOptions {
  /** Empty: tokens are bare base64. */
  readonly tokenPrefix: string;
  /** Either these, in the order of the config, or `srv`. */
  readonly servers: readonly Server[];
  readonly srv?: SrvOptions;
  readonly order: 'listed' | 'spread';
  /** For each of TCP, TLS, StartTLS, and each request until its last answer. */
  readonly serverTimeout: number;
  /** When a server is skipped: `probeInterval` is the time between two probes of it in the background. */
  readonly circuit: { readonly failures: number; readonly probeInterval: number };
  readonly tls: TlsOptions;
  /** Left out: searches are anonymous. */
  readonly bind?: { readonly dn: string; readonly password: string };
  readonly user: UserOptions;
  /** Left out: users have no groups. */
  readonly groups?: GroupOptions;
  readonly pool: PoolOptions;
  readonly maxUserBinds: number;
  readonly reuseUserConnections: boolean;
}

export interface SrvOptions {
  readonly name: string;
  readonly security: Server['security'];
  /** `address` or `address:port` of DNS servers; empty: the system's. */
  readonly nameServers: readonly string[];
}

export interface UserOptions {
  /** How the entry is found: a search below each of `bases`, or the one entry that the DN template names. */
  readonly find:
    | {
        readonly by: 'search';
        readonly bases: readonly string[];
        readonly scope: 'one' | 'sub';
        readonly filter: FilterTemplate;
      }
    | { readonly by: 'dn'; readonly template: DnTemplate };
  readonly attributes: {
    readonly username: string;
    readonly uid?: string;
    readonly email?: string;
    /** Keys of Kubernetes' `extra`, lower case, each with an attribute. */
    readonly extra: Readonly<Record<string, string>>;
  };
  /** The decision for a name that is not in the directory. */
  readonly unknown: 'no-opinion' | 'rejected';
}

export type GroupOptions = {
  /** With `attribute`: only groups below one of these count; empty: all. */
  readonly bases: readonly string[];
  /** Left out: groups of groups do not count. They are searched for below `bases`, level by level. */
  readonly nested?: { readonly filter: FilterTemplate; readonly scope: 'one' | 'sub' };
  readonly name: NameTemplate;
  readonly maxDepth: number;
  readonly maxGroups: number;
} & (
  | { readonly by: 'search'; readonly scope: 'one' | 'sub'; readonly filter: FilterTemplate }
  /** `attribute` is `memberOf`, or what the directory calls it. */
  | { readonly by: 'attribute'; readonly attribute: string }
);

export interface PoolOptions {
  readonly max: number;
  readonly idleTimeout: number;
  readonly maxAge: number;
}
