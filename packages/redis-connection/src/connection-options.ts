import { isIPv6 } from 'node:net';
import type { TlsOptions } from '@sallyport/plugin-kit';

export interface HostPort {
  /** A name or an address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/** Where Redis is. `secure` means TLS, with a checked certificate. */
export type Servers =
  | {
      readonly kind: 'server';
      readonly secure: boolean;
      readonly database: number;
      readonly address: HostPort;
    }
  | {
      readonly kind: 'socket';
      readonly secure: false;
      readonly database: number;
      readonly path: string;
    }
  | {
      readonly kind: 'sentinel';
      /** TLS with the sentinels and with the server that they name. */
      readonly secure: boolean;
      readonly database: number;
      readonly sentinels: readonly HostPort[];
      /** The sentinels' name of the master. */
      readonly name: string;
      readonly sentinelUsername?: string;
      readonly sentinelPassword?: string;
    }
  | { readonly kind: 'cluster'; readonly secure: boolean; readonly nodes: readonly HostPort[] };

export interface ConnectionOptions {
  readonly servers: Servers;
  /** An ACL user. Defaults to the default user of Redis. */
  readonly username?: string;
  readonly password?: string;
  readonly tls: TlsOptions;
  /** Milliseconds, for each command and for making a connection. */
  readonly commandTimeout: number;
}

/** The parts of messages that depend on what Redis is used for. */
export interface Wording {
  /** Where the ACL is that an operator compares the ACL of the user with: `docs/redis.md (Permissions)`. */
  readonly minimalAcl: string;
  /** The end of the message `the value is of another type …`. */
  readonly wrongType: string;
  /** The effect of failed connections and commands, for the help of a metric: `tokens can't be checked`. */
  readonly consequence: string;
}

/** The servers in messages, without user and password. */
export function nameServers(servers: Servers): string {
  switch (servers.kind) {
    case 'server':
      return `${servers.secure ? 'rediss' : 'redis'}://${formatHostPort(servers.address)}`;
    case 'socket':
      return `unix:${servers.path}`;
    case 'sentinel':
      return `master ${servers.name} of the sentinels ${servers.sentinels.map(formatHostPort).join(', ')}`;
    case 'cluster':
      return `the cluster of ${servers.nodes.map(formatHostPort).join(', ')}`;
  }
}

/** The name that the servers' certificates must have, for messages. */
export function certificateName({ servers, tls: { serverName } }: ConnectionOptions): string {
  if (serverName !== undefined) return serverName;
  return servers.kind === 'server' ? servers.address.host : 'the host';
}

function formatHostPort({ host, port }: HostPort): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}
