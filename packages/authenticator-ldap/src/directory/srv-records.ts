import { Resolver } from 'node:dns/promises';
import type { Server } from '../connection/types.ts';
import { withDeadline } from '../deadlines.ts';
import type { SrvOptions } from '../options/types.ts';

/** One answer of DNS (RFC 2782), as `node:dns` gives it. */
export interface SrvRecord {
  readonly name: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

export interface SrvServer {
  readonly server: Server;
  readonly priority: number;
  readonly weight: number;
}

export interface SrvServers {
  /** Each host and port once. */
  readonly servers: readonly SrvServer[];
  /** Targets outside of the domain, which must not be used. */
  readonly foreign: readonly string[];
}

/**
 * The servers that the records name. A target must be the domain of the SRV name itself or below it: the certificate is
 * checked against the target, so a forged answer could otherwise choose whose certificate is valid. With `anyTarget` (a
 * fixed name is checked) this does not matter.
 *
 * The target `.` means that there is no such service; it gives no server.
 */
export function srvServers(records: readonly SrvRecord[], srv: SrvOptions, anyTarget: boolean): SrvServers {
  const domain = domainOf(srv.name);
  const servers = new Map<string, SrvServer>();
  const foreign: string[] = [];
  for (const { name, port, priority, weight } of records) {
    const host = plainName(name);
    if (host === '' || port === 0) continue;
    if (!anyTarget && host !== domain && !host.endsWith(`.${domain}`)) {
      foreign.push(host);
      continue;
    }
    const url = `${srv.security === 'ldaps' ? 'ldaps' : 'ldap'}://${host}:${port}`;
    const server: Server = { url, host, port, security: srv.security };
    if (!servers.has(url)) servers.set(url, { server, priority, weight });
  }
  return { servers: [...servers.values()], foreign };
}

/**
 * In the order of RFC 2782: by priority, and within one at random by weight, those of weight 0 with a very small
 * chance to come before others. Each waits for a random time, which is shorter the greater its weight is.
 *
 * @param random at least 0, less than 1
 */
export function drawOrder(servers: readonly SrvServer[], random: () => number): readonly SrvServer[] {
  return servers
    .map((server) => ({ server, time: -Math.log(1 - random()) / Math.max(server.weight, 0.01) }))
    .sort((one, other) => one.server.priority - other.server.priority || one.time - other.time)
    .map(({ server }) => server);
}

/** What follows the last label with an underscore: example.com of _ldap._tcp.site._sites.dc._msdcs.example.com */
function domainOf(srvName: string): string {
  const labels = plainName(srvName).split('.');
  const last = labels.findLastIndex((label) => label.startsWith('_'));
  return labels.slice(last + 1).join('.');
}

function plainName(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}

/** Looks up SRV records. @throws Error of `node:dns`, or the signal's reason */
export type ResolveSrv = (name: string, signal: AbortSignal) => Promise<readonly SrvRecord[]>;

/**
 * @param nameServers `address` or `address:port`; empty: the system's
 * @param timeout milliseconds until the next name server is asked
 */
export function createSrvResolver(nameServers: readonly string[], timeout: number): ResolveSrv {
  return (name, signal) =>
    withDeadline<readonly SrvRecord[]>({ signal }, ({ resolve, reject }) => {
      // Each lookup has one of its own, since `cancel` ends all lookups of a resolver.
      const resolver = new Resolver({ timeout, tries: 2 });
      if (nameServers.length > 0) resolver.setServers([...nameServers]);
      resolver.resolveSrv(name).then(resolve, reject);
      return () => resolver.cancel();
    });
}
