import { isIP, isIPv4, isIPv6, SocketAddress } from 'node:net';
import {
  type Complain,
  flag,
  isHostName,
  list,
  type ParseResult,
  parseText,
  section,
  value,
} from '@sallyport/plugin-kit';
import type { z } from 'zod';
import type { Server } from '../connection/types.ts';

const serverUrlPattern = '^[Ll][Dd][Aa][Pp][Ss]?://[^/?#@]+/?$';
const urlShape =
  /^(?<scheme>ldaps?):\/\/(?:\[(?<six>[^[\]]*)\]|(?<name>[^:/?#@[\]]*))(?::(?<port>\d{1,5}))?\/?$/i;
const urlFix =
  'write ldaps://ldap-a.example.com, ldaps://ldap.example.com:3269 or ldaps://[2001:db8::1]';
const srvExample = '_ldaps._tcp.example.com';

/** Reads `_ldap._tcp.` or `_ldaps._tcp.` with a domain, whose labels may begin with `_` as Active Directory's do. */
function parseSrvName(input: unknown): ParseResult<string> {
  const parsed = parseText(input, srvExample);
  if ('problem' in parsed) return parsed;
  const name = parsed.value.replace(/\.$/, '');
  const domain = /^_ldaps?\._tcp\.(.+)$/i.exec(name)?.[1];
  if (domain !== undefined && isHostName(domain.replace(/(^|\.)_/g, '$1'))) return { value: name };
  const fix = `write ${srvExample} (TLS from the start), or _ldap._tcp.example.com with startTLS: true`;
  return { problem: `${JSON.stringify(parsed.value)} does not name an LDAP service`, fix };
}

function parseNameServer(input: unknown): ParseResult<string> {
  const fix = 'write 192.0.2.53, 192.0.2.53:5353, 2001:db8::53 or "[2001:db8::53]:5353"';
  const parsed = parseText(input, '192.0.2.53');
  if ('problem' in parsed || isIP(parsed.value) !== 0) return parsed;
  const shape = /^(?:\[(?<six>.*)\]|(?<four>[^:]*))(?::(?<port>\d{1,5}))?$/;
  const { six, four = '', port = 53 } = shape.exec(parsed.value)?.groups ?? {};
  const isAddress = six === undefined ? isIPv4(four) : isIPv6(six);
  if (isAddress && Number(port) >= 1 && Number(port) <= 65_535) return parsed;
  return { problem: `${JSON.stringify(parsed.value)} is not the address of a DNS server`, fix };
}

const srvSchema = section(
  {
    name: value(
      {
        description:
          'The name to look up, such as _ldaps._tcp.example.com. _ldap._tcp needs startTLS or insecure.',
      },
      parseSrvName,
    ),
    nameServers: list(
      {
        description: "DNS servers to ask, by address. Default: the system's.",
        example: '[192.0.2.53]',
      },
      { min: 1, max: 8 },
      parseNameServer,
    ).optional(),
  },
  `{ name: ${srvExample} }`,
  ({ name, nameServers = [] }) => ({ name, nameServers }),
);

export const serverShape = {
  urls: list(
    {
      description:
        'The servers: ldaps://host, or ldap://host with startTLS. A port may follow, as in ldaps://host:3269.',
      example: '[ldaps://ldap-a.example.com, ldaps://ldap-b.example.com]',
      items: { pattern: serverUrlPattern },
    },
    { min: 1, max: 16 },
    parseServerUrl,
  ).optional(),
  srv: srvSchema.optional().describe('Instead of urls: the servers are looked up in DNS.'),
  startTLS: flag('With ldap:// and _ldap._tcp: start TLS before any other request.'),
  insecure: flag(
    'Allow ldap:// without TLS: anyone on the network path can read every password and change every answer.',
  ),
};

type ServerKeys = z.output<z.ZodObject<typeof serverShape>>;

export function settleServers(keys: ServerKeys, complain: Complain) {
  const { urls = [], srv } = keys;
  if (keys.urls === undefined && srv === undefined) {
    complain(
      ['urls'],
      'must list the servers',
      `write [ldaps://ldap-a.example.com], or srv: { name: ${srvExample} }`,
    );
  }
  if (keys.urls !== undefined && srv !== undefined) {
    complain(['srv'], "can't be used together with urls", 'remove one of the two');
  }
  const addresses = urls.map(({ host, port }) => JSON.stringify([host, port]));
  for (const [index, address] of addresses.entries()) {
    const firstIndex = addresses.indexOf(address);
    if (firstIndex !== index)
      complain(
        ['urls', index],
        `is the same server as entry ${firstIndex + 1}`,
        'remove one of the two',
      );
  }
  checkClearText(keys, complain);
  const chooseSecurity = (secure: boolean): Server['security'] =>
    secure ? 'ldaps' : keys.insecure ? 'insecure' : 'starttls';
  const servers: readonly Server[] = urls.map(({ scheme, host, port }) => {
    const url = `${scheme}://${isIPv6(host) ? `[${host}]` : host}:${port}`;
    return { url, host, port, security: chooseSecurity(scheme === 'ldaps') };
  });
  return { servers, ...(srv && { srv: { ...srv, security: chooseSecurity(isLdaps(srv.name)) } }) };
}

function checkClearText(
  { urls = [], srv, startTLS, insecure }: ServerKeys,
  complain: Complain,
): void {
  const fix =
    'write startTLS: true, or insecure: true if anyone on the network path may read passwords';
  const index = urls.findIndex(({ scheme }) => scheme === 'ldap');
  const plainSrv = srv !== undefined && !isLdaps(srv.name);
  if (index === -1 && !plainSrv) {
    if (startTLS === true)
      complain(['startTLS'], 'has no effect: all servers are ldaps', 'remove startTLS');
    if (insecure === true)
      complain(['insecure'], 'has no effect: all servers are ldaps', 'remove insecure');
  } else if (startTLS === true && insecure === true) {
    complain(
      ['insecure'],
      "can't be used together with startTLS",
      'remove insecure, and everything is encrypted',
    );
  } else if (startTLS !== true && insecure !== true) {
    if (index !== -1)
      complain(['urls', index], 'ldap:// is clear text', `write ldaps://; or ${fix}`);
    if (plainSrv)
      complain(['srv', 'name'], '_ldap._tcp is clear text', `write _ldaps._tcp; or ${fix}`);
  }
}

function isLdaps(name: string): boolean {
  return /^_ldaps\./i.test(name);
}

interface ServerUrl {
  readonly scheme: 'ldap' | 'ldaps';
  /** A name in lower case, or an address, IPv6 without brackets and in its canonical form. */
  readonly host: string;
  readonly port: number;
}

/**
 * Reads `ldaps://host` or `ldap://host:port`, IPv6 in brackets. The other parts of an LDAP URL (RFC
 * 4516) have keys of their own.
 */
function parseServerUrl(input: unknown): ParseResult<ServerUrl> {
  const parsed = parseText(input, 'ldaps://ldap-a.example.com');
  if ('problem' in parsed) return parsed;
  // A URL with an @ may hold a password, so it is not quoted.
  if (parsed.value.includes('@')) {
    return {
      problem: 'must not name a user',
      fix: 'the DN and the password belong under bind; write ldaps://host',
    };
  }
  const quoted = JSON.stringify(parsed.value);
  const { scheme = '', six, name = '', port } = urlShape.exec(parsed.value)?.groups ?? {};
  if (scheme === '') {
    const hasScheme = /^ldaps?:\/\//i.test(parsed.value);
    const end = 'must end after the host and port (an IPv6 address in brackets)';
    const rule = hasScheme ? end : 'must begin with ldaps:// or ldap://';
    return { problem: `${quoted} ${rule}`, fix: urlFix };
  }
  if (six === undefined ? !isIPv4(name) && !isHostName(name) : !isIPv6(six))
    return { problem: `${quoted} does not name a host`, fix: urlFix };
  const secure = scheme.toLowerCase() === 'ldaps';
  const number = port === undefined ? (secure ? 636 : 389) : Number(port);
  if (number < 1 || number > 65_535)
    return { problem: `${quoted} has no port from 1 to 65535`, fix: urlFix };
  const host = six === undefined ? name.toLowerCase() : canonicalIPv6(six);
  return { value: { scheme: secure ? 'ldaps' : 'ldap', host, port: number } };
}

/** The ports on which servers expect the other scheme, with those of the global catalog, and what to write instead. */
const mixedUpPorts: Readonly<Record<string, string>> = {
  'ldaps:389': 'servers expect ldap:// with startTLS: true on port 389, and ldaps:// on port 636',
  'ldaps:3268':
    'servers expect ldap:// with startTLS: true on port 3268, and ldaps:// on port 3269',
  'ldap:636': 'servers expect ldaps:// on port 636, and ldap:// on port 389',
  'ldap:3269': 'servers expect ldaps:// on port 3269, and ldap:// on port 3268',
};

/** Explains the likely mistake in a server's port. @returns undefined when it may be right */
export function portMixUp({
  security,
  port,
}: Pick<Server, 'security' | 'port'>): string | undefined {
  return mixedUpPorts[`${security === 'ldaps' ? 'ldaps' : 'ldap'}:${port}`];
}

/** Writes an address in its canonical form. A zone (`fe80::1%eth0`) stays. */
function canonicalIPv6(address: string): string {
  const [plain = '', ...zone] = address.split('%');
  return [new SocketAddress({ address: plain, family: 'ipv6' }).address, ...zone].join('%');
}
