import type { BlockList } from 'node:net';
import { isIP, isIPv6 } from 'node:net';
import type { ServerRequest } from '../server/http-server.ts';

/** More of a header is not looked at: each proxy adds one. */
const mostHops = 16;

/**
 * The address that a request came from. A proxy adds the address of whom it got the request from at the end of
 * `X-Forwarded-For`, so what a client has written itself is before that: the last one that is no proxy counts.
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
    const next = plain(hops.pop() ?? '');
    if (isIP(next) === 0) break;
    address = next;
  }
  return address;
}

function isIn(list: BlockList, address: string): boolean {
  return isIP(address) !== 0 && list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

/** An IPv4 address may be written as IPv6. */
function plain(address: string): string {
  return address.toLowerCase().replace(/^::ffff:(?=\d+\.)/, '');
}

/** What counts as one client: of IPv6 a /64, in which one machine takes any address that it likes. */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const [before = '', after] = address.split('%', 1)[0]?.split('::') ?? [];
  const head = before === '' ? [] : before.split(':');
  const tail = after === undefined || after === '' ? [] : after.split(':');
  const zeros = after === undefined ? 0 : Math.max(0, 8 - head.length - tail.length);
  const groups = [...head, ...Array.from({ length: zeros }, () => '0'), ...tail];
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}
