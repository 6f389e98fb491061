import { isIPv6 } from 'node:net';
import type { ConnectionOptions, HostPort, Servers } from './types.ts';

/** How the servers are called in messages: no user, no password. */
export function nameServers(servers: Servers): string {
  switch (servers.kind) {
    case 'server':
      return `${scheme(servers.secure)}://${formatHostPort(servers.address)}`;
    case 'socket':
      return `unix:${servers.path}`;
    case 'sentinel':
      return `master ${servers.name} of the sentinels ${listed(servers.sentinels)}`;
    case 'cluster':
      return `the cluster of ${listed(servers.nodes)}`;
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

function scheme(secure: boolean): string {
  return secure ? 'rediss' : 'redis';
}

function listed(places: readonly HostPort[]): string {
  return places.map(formatHostPort).join(', ');
}
