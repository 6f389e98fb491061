import { BlockList, isIP, isIPv6 } from 'node:net';
import { count, duration, isLoopback, type Parsed, value } from '@sallyport/plugin-kit';
import { z } from 'zod';
import { listenKey, tlsKeys } from './server-keys.ts';

const text = z.string().min(1);
const name = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;

/** A Rate is how many attempts a period has. */
export interface Rate {
  readonly count: number;
  /** Milliseconds of the period. */
  readonly per: number;
}

const units: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };

/** Parses a rate such as `10/m`. */
function parseRate(input: unknown): Parsed<Rate> {
  const [, attempts = '', unit = ''] =
    /^([1-9]\d{0,5})\/([smh])$/.exec(typeof input === 'string' ? input : '') ?? [];
  const per = units[unit];
  if (per === undefined)
    return { problem: 'must be a number of attempts in s, m or h', fix: 'write 10/m' };
  return { value: { count: Number(attempts), per } };
}

const anOrigin = { origin: 'https://login.example.com', port: '' };

/** Parses the address by which people reach the login server: its origin and nothing more. */
function parsePublicUrl(input: unknown): Parsed<string> {
  const text = typeof input === 'string' ? input : '';
  const url = URL.parse(text);
  // The origin has neither a user nor a password.
  const { origin, port } = URL.parse(`https://${text.replace(/^\w+:\/\//, '')}`) ?? anOrigin;
  const fix = `write ${origin}${port === '' ? ', with its port unless that is 443' : ''}`;
  if (url === null || !/^https?:$/.test(url.protocol)) return { problem: 'must be a URL', fix };
  if (url.href !== `${url.origin}/`) return { problem: 'must have no path, user or query', fix };
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (host === '0.0.0.0' || host === '::') {
    const own = fix.replace(url.hostname, 'login.example.com');
    return { problem: 'has an address that no client can call', fix: own };
  }
  if (url.protocol === 'http:' && !isLoopback(host))
    return { problem: 'passwords would cross the network in clear', fix };
  return { value: url.origin };
}

/** Parses a network or an address, such as `192.0.2.0/28` or `192.0.2.1`. */
function parseNetwork(input: unknown): Parsed<string> {
  const [address = '', bits, ...others] = typeof input === 'string' ? input.split('/') : [];
  const maxBits = isIPv6(address) ? 128 : 32;
  const isBits = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= maxBits);
  if (isIP(address) === 0 || !isBits || others.length > 0) {
    return { problem: 'must be an address or a network', fix: 'write 192.0.2.1 or 192.0.2.0/28' };
  }
  return { value: `${address}/${bits ?? maxBits}` };
}

/** Makes the list of addresses of networks, as `login.trustedProxies` has them. */
export function createNetworks(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', bits] = network.split('/');
    list.addSubnet(address, Number(bits), isIPv6(address) ? 'ipv6' : 'ipv4');
  }
  return list;
}

const cluster = z.strictObject({
  audience: text
    .max(256)
    .describe('Its --api-audiences: a session for this cluster is valid for no other.'),
  server: z
    .url({ protocol: /^https$/, error: 'must be a URL, such as https://prod.example.com:6443' })
    .describe('Where its API server is, for kubeconfigs.'),
  caFile: text
    .exactOptional()
    .describe('The CA of its API server, PEM, for kubeconfigs. Left out: a CA that clients know.'),
});

export const loginSchema = z
  .strictObject({
    listen: listenKey(
      'Where people log in. Plain HTTP is allowed on loopback only. Port 0 takes a free one.',
      8444,
    ),
    publicUrl: value({}, parsePublicUrl).describe(
      'How clients reach it, such as https://login.example.com:8444. A request for another host is refused.',
    ),
    tls: z
      .strictObject(tlsKeys("The login server's"))
      .exactOptional()
      .describe(
        'TLS without client certificates. Required unless login.listen is a loopback address.',
      ),
    caFile: text
      .exactOptional()
      .describe(
        'The CA that signs the certificate at publicUrl, PEM, for kubeconfigs. Left out: a CA that clients know.',
      ),
    authenticators: z
      .array(text)
      .min(1)
      .describe(
        'Names of authenticators that check passwords, asked in this order. Their users are followed while a session lasts.',
      ),
    sessions: text.describe(
      'The name of the authenticator that issues sessions (use: redis). All of its tokens are sessions: for other tokens, add another one.',
    ),
    ttl: duration('How long a session lasts, however much it is used.', { max: '30d' }).prefault(
      '8h',
    ),
    idle: duration('How long a session lasts without a use. It may end 5 % sooner.', {
      min: '1m',
      max: '30d',
    }).prefault('2h'),
    revalidate: duration(
      'How often a session has its user looked up again: still there, not disabled, password not changed. Its groups are read again.',
      { min: '1s', max: '1h' },
    ).prefault('5m'),
    maxSessions: count(
      'Sessions of one user; a further login ends the oldest. 1 to 100.',
      1,
      100,
    ).default(10),
    clusters: z
      .record(
        z
          .string()
          .max(63)
          .regex(name, 'must be lowercase letters, digits, dots and inner dashes, such as prod'),
        cluster,
      )
      .default({})
      .describe(
        'The clusters that sessions are for, by their names. Left out: a session is valid wherever this gateway is asked.',
      ),
    limits: z
      .strictObject({
        perAddress: value({}, parseRate)
          .prefault('10/m')
          .describe(
            'Attempts of one address that are refused, such as 10/m; then 429. A login that succeeds does not count.',
          ),
        inFlight: count('Concurrent logins; more are answered 429. 1 to 10000.', 1, 10_000).default(
          50,
        ),
      })
      .prefault({})
      .describe('What clients may cost.'),
    trustedProxies: z
      .array(value({ description: 'An address or a network.' }, parseNetwork))
      .default([])
      .describe(
        'Addresses and networks of proxies, and of no client, whose X-Forwarded-For is believed. Left out: that header is ignored.',
      ),
  })
  .describe('The login server: a password is typed once, for a session. Left out: there is none.');
