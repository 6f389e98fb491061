import { BlockList, isIP, isIPv6 } from 'node:net';
import { count, duration, isLoopback, type ParseResult, value } from '@sallyport/plugin-kit';
import { z } from 'zod';
import { booleanKey, filledText, listenKey, textKey, textListKey, tlsKeys } from './keys.ts';
import { secondFactor } from './second-factor.ts';

const name = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;

/** The default of `login.title`. */
export const defaultTitle = 'Sallyport';

/** A Rate is how many attempts a period has. */
export interface Rate {
  readonly count: number;
  /** Milliseconds of the period. */
  readonly per: number;
}

/** The pattern of a rate, for editors and the reference too. */
const ratePattern = /^([1-9]\d{0,5})\/([smh])$/;

const units: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };

/** Parses a rate such as `10/m`. */
function parseRate(input: unknown): ParseResult<Rate> {
  const [, attempts = '', unit = ''] =
    ratePattern.exec(typeof input === 'string' ? input : '') ?? [];
  const per = units[unit];
  if (per === undefined)
    return { problem: 'must be a number of attempts in s, m or h', fix: 'write 10/m' };
  return { value: { count: Number(attempts), per } };
}

const anOrigin = { origin: 'https://login.example.com', port: '' };

/** Parses the address by which people reach the login server: its origin and nothing more. */
function parsePublicUrl(input: unknown): ParseResult<string> {
  const text = typeof input === 'string' ? input : '';
  const url = URL.parse(text);
  // The origin has neither a user nor a password.
  const { origin, port } = URL.parse(`https://${text.replace(/^\w+:\/\//, '')}`) ?? anOrigin;
  const host = url?.hostname.replace(/^\[(.*)\]$/, '$1') ?? '';
  const isLocal = url?.protocol === 'http:' && isLoopback(host);
  const fix = `write ${isLocal ? url.origin : origin}${port === '' ? ', with its port unless that is 443' : ''}`;
  if (/[,*]/.test(text)) {
    const [, host = 'login.example.com'] = /^(?:https?:\/\/)?([\w.:-]+),/.exec(text) ?? [];
    return { problem: 'must be one URL with one host', fix: `write https://${host}` };
  }
  if (url === null || !/^https?:$/.test(url.protocol)) return { problem: 'must be a URL', fix };
  if (url.href !== `${url.origin}/`) return { problem: 'must have no path, user or query', fix };
  if (host === '0.0.0.0' || host === '::') {
    const callableFix = fix.replace(url.hostname, 'login.example.com');
    return { problem: 'has an address that no client can call', fix: callableFix };
  }
  if (url.protocol === 'http:' && !isLocal)
    return { problem: 'passwords would cross the network in clear', fix };
  return { value: url.origin };
}

/** Parses the URL of an API server. */
function parseServer(input: unknown): ParseResult<string> {
  const text = typeof input === 'string' ? input : '';
  const url = URL.parse(text);
  const fix = 'write one such as https://prod.example.com:6443';
  if (url?.protocol === 'https:') return { value: text };
  return url?.protocol === 'http:'
    ? { problem: 'tokens would cross the network in clear', fix }
    : { problem: 'must be a URL with https', fix };
}

/** Parses a network or an address, such as `192.0.2.0/28` or `192.0.2.1`. */
function parseNetwork(input: unknown): ParseResult<string> {
  const [address = '', bits, ...excess] = typeof input === 'string' ? input.split('/') : [];
  const maxBits = isIPv6(address) ? 128 : 32;
  const isBits = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= maxBits);
  if (isIP(address) === 0 || !isBits || excess.length > 0) {
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
  audience: filledText
    .max(256)
    .describe(
      'One of the `--api-audiences` of the cluster. With several clusters, each needs its own audience.',
    ),
  server: value(
    { description: "URL of the cluster's API server, for kubeconfigs.", format: 'uri' },
    parseServer,
  ),
  caFile: textKey(
    'CA of the API server (PEM), for kubeconfigs. Not needed if clients already trust it.',
  ).exactOptional(),
});

/** The part of a URL, a redirect URI among them, that names a provider. */
const providerName = z
  .string()
  .max(63)
  .regex(name, 'must be lowercase letters, digits, dots and inner dashes, such as okta');

const provider = z.strictObject({
  title: filledText
    .max(64)
    .exactOptional()
    .describe('What people see on the page, such as `Example SSO`. Default: its name.'),
  authenticator: textKey(
    'Authenticator that checks its ID tokens, such as one with `use: jwt`. Its claim rules, names, blocks and `directory` apply to people who log in here.',
  ),
  issuer: textKey(
    '`issuer.url` of that authenticator. Required if the authenticator has several.',
  ).exactOptional(),
  clientId: textKey('Client ID at the provider. It must be one of the `audiences` of the issuer.'),
  clientSecret: textKey(
    'Client secret, as `{ file: path }` or `{ env: NAME }`. Without one, the login server is a public client, protected by PKCE alone.',
  )
    .exactOptional()
    .meta({ writeOnly: true }),
  scopes: z
    .array(filledText, { error: 'must be a list, such as [openid, email]' })
    .default(['openid'])
    .refine((scopes) => scopes.includes('openid'), 'must contain openid: add it')
    .describe('Scopes of the request. They must contain `openid`.'),
  prompt: filledText
    .regex(
      /^(?!none$)/,
      'must not be none, which lets the provider show no page: remove it, or write login or select_account',
    )
    .exactOptional()
    .describe('`prompt` of the request, such as `select_account` or `login`. Default: none.'),
  ttl: duration(
    'Maximum lifetime of a session of this provider. Default: `login.ttl`, and at most 8h if the authenticator has no `directory`, since no one checks the account then.',
    { max: '30d' },
  ).exactOptional(),
});

export const loginSchema = z
  .strictObject({
    listen: listenKey(
      'Address where people log in. Needs `login.tls` unless it is a loopback address.',
      8444,
    ),
    publicUrl: value({ format: 'uri' }, parsePublicUrl).describe(
      'URL of the login server for clients, without a path. Requests for another host are refused. `http:` is for loopback only.',
    ),
    tls: z
      .strictObject(tlsKeys("The login server's"))
      .exactOptional()
      .describe(
        'TLS without client certificates. Required unless `login.listen` is a loopback address.',
      ),
    caFile: textKey(
      'CA of the certificate at `publicUrl` (PEM), for kubeconfigs. Not needed if clients already trust it.',
    ).exactOptional(),
    authenticators: textListKey(
      'Authenticators that check passwords, such as those with `use: ldap`, called in this order until one knows the name. During a session, Sallyport looks up its user there. Required unless there are `providers`.',
    ).default([]),
    browser: booleanKey(
      'Whether people can log in on a page in a browser as well as at a terminal. Requires `cache.redis`.',
    ).default(false),
    title: filledText
      .max(60)
      .exactOptional()
      .meta({ default: defaultTitle })
      .describe('Name at the top of the pages in a browser, such as `Example Corp`.'),
    logo: filledText
      .regex(
        /^(?!https?:)/i,
        'must be a file, since pages load nothing from other servers: download it, and write its path',
      )
      .exactOptional()
      .describe('PNG or SVG file of at most 32 KiB, which the pages show in place of the title.'),
    providers: z
      .record(providerName, provider)
      .default({})
      .describe(
        'OpenID Connect providers at which people can log in, by names of your choice. Requires `browser: true`. Register `publicUrl` + `/login/callback/NAME` as redirect URI at each provider.',
      ),
    secondFactor: secondFactor.exactOptional(),
    sessions: textKey(
      "Name of the authenticator that issues sessions (`use: redis`). All of its tokens are sessions; for other tokens, add another authenticator. Its users keep the names from `login.authenticators`, so it can't have prefixes, `groups.allow` or `allowSystemNames`.",
    ),
    ttl: duration('Lifetime of a session, however often it is used.', { max: '30d' }).prefault(
      '8h',
    ),
    idle: duration('A session that is not used for this long expires, up to 5 % sooner.', {
      min: '1m',
      max: '30d',
    }).prefault('2h'),
    revalidate: duration(
      'How often Sallyport checks the user of a session: still exists, not disabled, same password, current groups. While the directory is down, the last answer is used for `staleTtl` more.',
      { min: '1s', max: '1h' },
    ).prefault('5m'),
    maxSessions: count(
      'Maximum number of sessions of one user. A further login ends the oldest.',
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
      .prefault({})
      .describe(
        'Clusters that sessions are for. If there are none, a session is valid for every cluster that uses this gateway.',
      ),
    limits: z
      .strictObject({
        perAddress: value({ pattern: ratePattern.source }, parseRate)
          .prefault('10/m')
          .describe(
            'Failed logins of one client address (an IPv6 `/64`). Further logins get HTTP 429. The limit for all other requests is ten times as high.',
          ),
        inFlight: count(
          'Maximum number of concurrent logins; further ones get HTTP 429.',
          1,
          10_000,
        ).default(50),
      })
      .prefault({})
      .describe('Limits for clients of the login server.'),
    trustedProxies: z
      .array(value({ description: 'An address or a network.' }, parseNetwork))
      .default([])
      .describe(
        'Addresses and networks of proxies whose `X-Forwarded-For` header is trusted. The last address in it that is not a proxy is the client. Never list a client network: its clients could choose their address.',
      ),
  })
  .describe('The login server, where a user logs in to start a session. There is none by default.');
