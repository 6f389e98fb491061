import { isIPv6 } from 'node:net';
import type { HostPort, Servers } from './types.ts';

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

export function formatHostPort({ host, port }: HostPort): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}

function scheme(secure: boolean): string {
  return secure ? 'rediss' : 'redis';
}

function listed(places: readonly HostPort[]): string {
  return places.map(formatHostPort).join(', ');
}
