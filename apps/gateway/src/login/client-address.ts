import type { BlockList } from 'node:net';
import { isIP, isIPv6 } from 'node:net';
import type { ServerRequest } from '../server/http-server.ts';
import { plain } from '../server/socket-limit.ts';

/** More of a header is not looked at: each proxy adds one. */
const mostHops = 16;

/**
 * The address that a request came from. A proxy adds the address of its client at the end of `X-Forwarded-For`, so
 * what a client has written itself is before that: the last address that is no proxy counts.
 *
 * @param proxies whose header is believed
 */
export function clientAddress(request: ServerRequest, proxies: BlockList): string {
  let address = plain(request.socket?.remoteAddress ?? '');
  const header = request.headers['x-forwarded-for'];
  const hops = (typeof header === 'string' ? header : '')
    .split(',')
    .slice(-mostHops)
    .map((one) => one.trim());
  while (isIn(proxies, address)) {
    const next = plain(withoutPort(hops.pop() ?? ''));
    if (isIP(next) === 0) break;
    address = next;
  }
  return address;
}

function isIn(list: BlockList, address: string): boolean {
  return isIP(address) !== 0 && list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

/** Some proxies write `192.0.2.1:5678`, or `[2001:db8::1]:5678`. */
function withoutPort(hop: string): string {
  return hop.replace(/^\[([^\]]*)\](:\d+)?$|^([\d.]+):\d+$/, '$1$3');
}
