import { type BlockList, isIP, isIPv6 } from 'node:net';
import type { ServerRequest } from '../http/http-server.ts';
import { plain } from '../http/socket-limit.ts';
import { maxProxies } from './limits.ts';

/**
 * Finds the address that a request came from. A proxy adds the address of its client at the end of `X-Forwarded-For`,
 * so what a client has written itself is before that: the last address that is not a proxy counts.
 */
export function clientAddress(request: ServerRequest, proxies: BlockList): string {
  let address = plain(request.socket?.remoteAddress ?? '');
  const header = request.headers['x-forwarded-for'];
  const hops = typeof header === 'string' ? header.split(',').slice(-maxProxies) : [];
  while (isIP(address) !== 0 && proxies.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')) {
    // Some proxies write `192.0.2.1:5678`, or `[2001:db8::1]:5678`.
    const hop = hops
      .pop()
      ?.trim()
      .replace(/^\[([^\]]*)\](:\d+)?$|^([\d.]+):\d+$/, '$1$3');
    const next = plain(hop ?? '');
    if (isIP(next) === 0) break;
    address = next;
  }
  return address;
}
