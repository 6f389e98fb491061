import { isIPv4, isIPv6, SocketAddress } from 'node:net';
import { isHostName, type Parsed, parseText } from '@sallyport/plugin-options';
import type { Server } from '../connection/types.ts';

/** A URL of the options, taken apart. */
export interface ServerUrl {
  readonly scheme: 'ldap' | 'ldaps';
  /** A name in lower case, or an address; IPv6 without brackets and in its shortest form. */
  readonly host: string;
  readonly port: number;
}

export const serverUrlPattern = '^[Ll][Dd][Aa][Pp][Ss]?://[^/?#@]+/?$';
const shape = /^(?<scheme>ldaps?):\/\/(?:\[(?<six>[^[\]]*)\]|(?<name>[^:/?#@[\]]*))(?::(?<port>\d{1,5}))?\/?$/i;
const fix = 'write ldaps://ldap-a.example.com, ldaps://ldap.example.com:3269 or ldaps://[2001:db8::1]';

/** `ldaps://host`, `ldap://host:port`, IPv6 in brackets. What else an LDAP URL (RFC 4516) can say has keys of its own. */
export function parseServerUrl(input: unknown): Parsed<ServerUrl> {
  const parsed = parseText(input, 'ldaps://ldap-a.example.com');
  if ('problem' in parsed) return parsed;
  // What is quoted holds no password: a URL with an @ is not.
  if (parsed.value.includes('@')) {
    return { problem: 'must not name a user', fix: 'the DN and the password stand under bind; write ldaps://host' };
  }
  const quoted = JSON.stringify(parsed.value);
  const { scheme = '', six, name = '', port } = shape.exec(parsed.value)?.groups ?? {};
  if (scheme === '') return { problem: `${quoted} ${whyNoMatch(parsed.value)}`, fix };
  if (six === undefined ? !isHost(name) : !isIPv6(six)) return { problem: `${quoted} names no host`, fix };
  const secure = scheme.toLowerCase() === 'ldaps';
  const number = port === undefined ? (secure ? 636 : 389) : Number(port);
  if (number < 1 || number > 65_535) return { problem: `${quoted} has no port from 1 to 65535`, fix };
  const host = six === undefined ? name.toLowerCase() : shortestIPv6(six);
  return { value: { scheme: secure ? 'ldaps' : 'ldap', host, port: number } };
}

/** Ports on which servers expect the other scheme, the global catalog's too, and what is meant most likely. */
const mixedUpPorts: Readonly<Record<string, string>> = {
  'ldaps:389': 'servers expect ldap:// with startTLS: true on port 389, and ldaps:// on port 636',
  'ldaps:3268': 'servers expect ldap:// with startTLS: true on port 3268, and ldaps:// on port 3269',
  'ldap:636': 'servers expect ldaps:// on port 636, and ldap:// on port 389',
  'ldap:3269': 'servers expect ldaps:// on port 3269, and ldap:// on port 3268',
};

/** What is most likely wrong with the port of a server; undefined when it may be right. */
export function portMixUp({ security, port }: Pick<Server, 'security' | 'port'>): string | undefined {
  return mixedUpPorts[`${security === 'ldaps' ? 'ldaps' : 'ldap'}:${port}`];
}

/** `scheme://host:port`, as the label of a server. */
export function formatServerUrl({ scheme, host, port }: ServerUrl): string {
  return `${scheme}://${isIPv6(host) ? `[${host}]` : host}:${port}`;
}

function isHost(text: string): boolean {
  return isIPv4(text) || isHostName(text);
}

/** An address with a zone (`fe80::1%eth0`) keeps it. */
function shortestIPv6(address: string): string {
  const [plain = '', ...zone] = address.split('%');
  return [new SocketAddress({ address: plain, family: 'ipv6' }).address, ...zone].join('%');
}

function whyNoMatch(text: string): string {
  if (!/^ldaps?:\/\//i.test(text)) return 'must begin with ldaps:// or ldap://';
  if (/^ldaps?:\/\/[^/]*\/./i.test(text) || /[?#]/.test(text)) return 'must end after the host and port';
  if (/:\/\/[\da-f]*:[\da-f:]*:/i.test(text)) return 'has an IPv6 address without brackets';
  return 'is not a host and a port';
}
