import { isIP, isIPv4, isIPv6 } from 'node:net';
import { isHostName, type ParseResult } from '@sallyport/plugin-kit';

/** An address to listen on. `host` is an IP address without brackets, or a name; port 0 takes a free one. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
  /** True: a free port is taken if another process has this one. Never for an operator's address, whose callers know the port. */
  readonly orAnyPort?: true;
  /** The option of `serve` that it is from, such as `--listen`. Left out: it is from the config. */
  readonly option?: string | undefined;
}

const fix = 'write 127.0.0.1:8080, "[::1]:8080" or :8443 (all interfaces)';

/**
 * Parses an address such as `127.0.0.1:8080`, `[::1]:0` or `localhost:8080`. `:8443` is every interface, IPv6 and IPv4. Port 0 takes a
 * free one. A host name is not resolved here.
 */
export function parseListen(input: unknown): ParseResult<ListenAddress> {
  if (typeof input !== 'string') return { problem: 'must be an address and a port', fix };
  const match = /^(?:\[(?<six>[^[\]]*)\]|(?<host>[^:[\]]*)):(?<port>\d+)$/.exec(input);
  const { six, host = '', port = '' } = match?.groups ?? {};
  const isHost = six === undefined ? host === '' || isIPv4(host) || isHostName(host) : isIPv6(six);
  if (match === null || !isHost || Number(port) > 65_535) {
    return { problem: `${JSON.stringify(input)} is not an address and a port up to 65535`, fix };
  }
  return { value: { host: six ?? (host === '' ? '::' : host), port: Number(port) } };
}

/** Whether two servers can't listen on both addresses. Port 0 never collides. */
export function collide(a: ListenAddress, b: ListenAddress): boolean {
  if (a.port === 0 || a.port !== b.port) return false;
  const hosts = [a, b].map(canonicalHost);
  if (hosts[0] === hosts[1] || hosts.includes('[::]')) return true;
  const isWithin = (host: string) => isIPv4(host) || host === 'localhost';
  if (hosts.includes('0.0.0.0')) return hosts.every(isWithin);
  // The name may resolve to either address.
  return hosts.includes('localhost') && (hosts.includes('127.0.0.1') || hosts.includes('[::1]'));
}

/** Returns a name in lowercase, and an IPv6 address in its canonical form, in brackets. */
function canonicalHost({ host }: ListenAddress): string {
  const { hostname = host } = URL.parse(`http://${isIP(host) === 6 ? `[${host}]` : host}`) ?? {};
  return hostname;
}
