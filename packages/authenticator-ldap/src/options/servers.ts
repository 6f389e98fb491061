import { isIP, isIPv6 } from 'node:net';
import {
  type Complain,
  flag,
  isHostName,
  list,
  type Parsed,
  parseText,
  section,
  value,
} from '@sallyport/plugin-options';
import type { z } from 'zod';
import type { Server } from '../connection/types.ts';
import { formatServerUrl, parseServerUrl, type ServerUrl, serverUrlPattern } from './server-url.ts';
import type { SrvOptions } from './types.ts';

/** What the keys say of where the servers are and whether TLS is spoken with them. */
export interface ServerKeys {
  readonly urls?: readonly ServerUrl[] | undefined;
  readonly srv?: SrvKeys | undefined;
  readonly startTLS?: boolean | undefined;
  readonly insecure?: boolean | undefined;
}

interface SrvKeys {
  readonly name: string;
  readonly nameServers: readonly string[];
}

const srvExample = '_ldaps._tcp.example.com';

/** `_ldap._tcp.` or `_ldaps._tcp.` with a domain, whose labels may begin with `_` as Active Directory's do. */
function parseSrvName(input: unknown): Parsed<string> {
  const parsed = parseText(input, srvExample);
  if ('problem' in parsed) return parsed;
  const name = parsed.value.replace(/\.$/, '');
  const domain = /^_ldaps?\._tcp\.(.+)$/i.exec(name)?.[1];
  if (domain !== undefined && isHostName(domain.replace(/(^|\.)_/g, '$1'))) return { value: name };
  const fix = `write ${srvExample} (TLS from the start), or _ldap._tcp.example.com with startTLS: true`;
  return { problem: `${JSON.stringify(parsed.value)} names no LDAP service`, fix };
}

function parseNameServer(input: unknown): Parsed<string> {
  const fix = 'write 192.0.2.53, 192.0.2.53:5353, 2001:db8::53 or "[2001:db8::53]:5353"';
  const parsed = parseText(input, '192.0.2.53');
  if ('problem' in parsed || isIP(parsed.value) !== 0) return parsed;
  const {
    six,
    four = '',
    port,
  } = /^(?:\[(?<six>.*)\]|(?<four>[^:]*))(?::(?<port>\d{1,5}))?$/.exec(parsed.value)?.groups ?? {};
  const good =
    (six === undefined ? isIP(four) === 4 : isIPv6(six)) && Number(port ?? 53) >= 1 && Number(port ?? 53) <= 65_535;
  return good ? parsed : { problem: `${JSON.stringify(parsed.value)} is no address of a DNS server`, fix };
}

const srv: z.ZodType<SrvKeys> = section(
  {
    name: value(
      { description: 'Such as _ldaps._tcp.example.com; _ldap._tcp needs startTLS or insecure.' },
      parseSrvName,
    ),
    nameServers: list(
      { description: "DNS servers to ask, by address. Left out: the system's.", example: '[192.0.2.53]' },
      { least: 1, most: 8 },
      parseNameServer,
    ).optional(),
  },
  `{ name: ${srvExample} }`,
  ({ name, nameServers = [] }) => ({ name, nameServers }),
);

export const serverShape: {
  readonly urls: z.ZodType<readonly ServerUrl[] | undefined>;
  readonly srv: z.ZodType<SrvKeys | undefined>;
  readonly startTLS: z.ZodType<boolean | undefined>;
  readonly insecure: z.ZodType<boolean | undefined>;
} = {
  urls: list(
    {
      description:
        'The servers: ldaps://host, or ldap://host with startTLS. A port may follow, as in ldaps://host:3269.',
      example: '[ldaps://ldap-a.example.com, ldaps://ldap-b.example.com]',
      items: { pattern: serverUrlPattern },
    },
    { least: 1, most: 16 },
    parseServerUrl,
  ).optional(),
  srv: srv.optional().describe('In place of urls: the servers are looked up in DNS.'),
  startTLS: flag('Speak TLS with servers of ldap:// before anything else is said.'),
  insecure: flag(
    'Speak with servers of ldap:// in clear text: whoever is on the wire reads and changes all, passwords too.',
  ),
};

/** The servers with their security, or complaints that leave nobody in the dark about clear text. */
export function settleServers(
  keys: ServerKeys,
  complain: Complain,
): { readonly servers: readonly Server[]; readonly srv?: SrvOptions } {
  const { urls = [], srv } = keys;
  if (keys.urls === undefined && srv === undefined) {
    complain(['urls'], `must list the servers: write [ldaps://ldap-a.example.com], or srv: { name: ${srvExample} }`);
  }
  if (keys.urls !== undefined && srv !== undefined)
    complain(['srv'], 'must not stand beside urls: remove one of the two');
  refuseDuplicates(urls, complain);
  const plain = refuseSilentClearText(keys, complain);
  const security = (secure: boolean) => (secure ? 'ldaps' : keys.insecure ? 'insecure' : 'starttls');
  if (plain) refuseContradiction(keys, complain);
  else refuseIdleFlags(keys, complain);
  return {
    servers: urls.map((url) => ({
      url: formatServerUrl(url),
      host: url.host,
      port: url.port,
      security: security(url.scheme === 'ldaps'),
    })),
    ...(srv && { srv: { ...srv, security: security(isLdaps(srv.name)) } }),
  };
}

function isLdaps(name: string): boolean {
  return /^_ldaps\./i.test(name);
}

function refuseDuplicates(urls: readonly ServerUrl[], complain: Complain): void {
  const places = urls.map(({ host, port }) => JSON.stringify([host, port]));
  for (const [index, place] of places.entries()) {
    const first = places.indexOf(place);
    if (first !== index) complain(['urls', index], `is the same server as entry ${first + 1}: remove one of the two`);
  }
}

/** @returns whether there is a server that TLS does not begin with */
function refuseSilentClearText({ urls = [], srv, startTLS, insecure }: ServerKeys, complain: Complain): boolean {
  const fix = 'write startTLS: true, or insecure: true if everybody on the wire may read passwords';
  const index = urls.findIndex(({ scheme }) => scheme === 'ldap');
  const plainSrv = srv !== undefined && !isLdaps(srv.name);
  if (startTLS !== true && insecure !== true) {
    if (index !== -1) complain(['urls', index], `ldap:// is clear text: write ldaps://; or ${fix}`);
    if (plainSrv) complain(['srv', 'name'], `_ldap._tcp is clear text: write _ldaps._tcp; or ${fix}`);
  }
  return index !== -1 || plainSrv;
}

function refuseContradiction({ startTLS, insecure }: ServerKeys, complain: Complain): void {
  if (startTLS !== true || insecure !== true) return;
  complain(['insecure'], 'must not stand beside startTLS: remove insecure, and everything is encrypted');
}

function refuseIdleFlags({ startTLS, insecure }: ServerKeys, complain: Complain): void {
  if (startTLS === true)
    complain(['startTLS'], 'does nothing: TLS begins with the first byte of ldaps; remove startTLS');
  if (insecure === true) complain(['insecure'], 'would make nothing insecure: all servers are ldaps; remove insecure');
}
