import type { X509Certificate } from 'node:crypto';
import { isIP, isIPv6 } from 'node:net';
import { isHostName } from '@sallyport/plugin-kit';
import { printable } from '../../base/logging/printable.ts';
import { UsageError } from '../output.ts';

/**
 * Reads a name or an IP address as certificates have it: names in lower case, IPv6 addresses in their canonical form (RFC 5952).
 *
 * @param option the option that has it, for messages
 * @throws UsageError
 */
export function parseHost(text: string, option = '--host'): string {
  const quoted = `${option}: ${printable(JSON.stringify(text))}`;
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  if (isIP(bare) !== 0 && !bare.includes('%')) {
    const address = isIPv6(bare) ? new URL(`http://[${bare}]`).hostname.slice(1, -1) : bare;
    if (address !== '0.0.0.0' && address !== '::') return address;
    throw new UsageError(
      `${quoted} is not an address that a client can call`,
      'write the address or the name of this machine',
    );
  }
  if (isHostName(text)) return text.toLowerCase();
  const [problem, fix] = describeProblem(text, option);
  throw new UsageError(`${quoted} ${problem}`, fix);
}

function describeProblem(text: string, option: string): [problem: string, fix: string] {
  if (text.includes('://'))
    return ['is a URL', 'write only its host, without https:// and the path'];
  if (/^[^:]+:\d+$/.test(text) || /\]:\d+$/.test(text))
    return ['has a port', 'write only the host'];
  if (text.includes(','))
    return option === '--host'
      ? ['has a comma', `write --host once per host: --host ${text.split(',').join(' --host ')}`]
      : ['has a comma', 'write one host'];
  return [
    'is not a DNS name or an IP address (ASCII, without * or %)',
    'write one such as gateway.example.com, 192.0.2.1 or 2001:db8::1',
  ];
}

/** Whether a host is the name of a Service, which only the DNS of a cluster knows. */
export function isServiceName(host: string): boolean {
  return /\.svc(\.cluster\.local)?$/.test(host);
}

/** Returns the 4 or 16 bytes of an IP address, in network order. @param address as `parseHost` returns it */
export function addressBytes(address: string): Uint8Array<ArrayBuffer> {
  if (!isIPv6(address)) return new Uint8Array(address.split('.').map(Number));
  const [head = [], tail] = address
    .split('::')
    .map((half) => half.split(':').filter((group) => group !== ''));
  const zeros = tail === undefined ? [] : Array<string>(8 - head.length - tail.length).fill('0');
  const groups = [...head, ...zeros, ...(tail ?? [])].map((group) => Number.parseInt(group, 16));
  return new Uint8Array(groups.flatMap((group) => [group >> 8, group & 0xff]));
}

/** Returns the DNS names and IP addresses that a certificate is for, as it has them: one may be `*.example.com`. */
export function listNames({
  subjectAltName = '',
}: Pick<X509Certificate, 'subjectAltName'>): string[] {
  return [...subjectAltName.matchAll(/(?:^|, )(?:DNS|IP Address):([^,\s"]+)/g)].map(
    ([, host = '']) => host,
  );
}

/** Returns the same names as `parseHost` writes them. @throws UsageError for one that `init` makes no certificate for */
export function listHosts(certificate: Pick<X509Certificate, 'subjectAltName'>): string[] {
  return listNames(certificate).map((host) => parseHost(host));
}
