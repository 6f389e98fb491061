import { describe, expect, test } from 'vitest';
import { parseFile } from './load.ts';

const login = {
  publicUrl: 'https://login.example.com',
  authenticators: ['corp'],
  sessions: 'sessions',
};
const [corp, sessions] = [
  { name: 'corp', use: 'ldap' },
  { name: 'sessions', use: 'redis' },
];

const okta = { authenticator: 'corp', clientId: 'sallyport' };
const sharedCache = {
  redis: { url: 'redis://127.0.0.1:6379', sealingKeys: [Buffer.alloc(32).toString('base64')] },
};

function problemsOf(
  changed: object,
  others: readonly object[] = [corp, sessions],
  more: object = {},
): string[] {
  const { problems } = parseFile({
    authenticators: others,
    login: { ...login, ...changed },
    ...more,
  });
  return problems.map(({ path, message }) => `${path.join('.')}: ${message}`);
}

test('the minimum that a login server needs is valid, and gets the defaults', () => {
  const { config, problems } = parseFile({ authenticators: [corp, sessions], login });
  expect(problems).toEqual([]);
  expect(config?.login).toMatchObject({
    listen: { host: '127.0.0.1', port: 8444 },
    ttl: 28_800_000,
    idle: 7_200_000,
    revalidate: 300_000,
    ...{
      maxSessions: 10,
      clusters: {},
      limits: { perAddress: { count: 10, per: 60_000 }, inFlight: 50 },
    },
  });
});

test('providers alone are enough, and get the defaults', () => {
  const { config, problems } = parseFile({
    authenticators: [corp, sessions],
    login: { ...login, authenticators: undefined, browser: true, providers: { okta } },
    cache: sharedCache,
  });
  expect(problems).toEqual([]);
  expect(config?.login).toMatchObject({
    browser: true,
    authenticators: [],
    providers: { okta: { ...okta, scopes: ['openid'] } },
  });
  expect(config?.login?.providers.okta).not.toHaveProperty('ttl');
});

describe('login is refused with', () => {
  test.each([
    [
      { authenticators: ['corp', 'sessions'] },
      'login.sessions: is also in login.authenticators, which lists the authenticators that check passwords',
    ],
    [{ listen: '0.0.0.0:8444' }, 'login.listen: passwords would cross the network in clear'],
    [{ listen: '127.0.0.1:8080' }, 'login.listen: is also the address of server.listen'],
    [{ listen: '127.0.0.1:8081' }, 'login.listen: is also the address of admin.listen'],
    [
      { publicUrl: 'http://login.example.com' },
      'login.publicUrl: passwords would cross the network in clear',
    ],
    [
      { publicUrl: 'https://0.0.0.0:8444' },
      'login.publicUrl: has an address that no client can call',
    ],
    [{ publicUrl: 'http://0.0.0.0' }, 'login.publicUrl: has an address that no client can call'],
    [{ publicUrl: 'https://[::]' }, 'login.publicUrl: has an address that no client can call'],
    [{ publicUrl: 'https://login.example.com/login' }, 'login.publicUrl: must have no path'],
    [{ publicUrl: 'https://a:b@login.example.com' }, 'login.publicUrl: must have no path, user'],
    [
      { publicUrl: 'https://a.example.com,https://b.example.com' },
      'login.publicUrl: must be one URL with one host',
    ],
    [{ publicUrl: 'https://*.example.com' }, 'login.publicUrl: must be one URL with one host'],
    [{ publicUrl: 'login.example.com' }, 'login.publicUrl: must be a URL'],
    [
      { trustedProxies: ['10.0.0.0/33'] },
      'login.trustedProxies.0: must be an address or a network',
    ],
    [{ trustedProxies: ['proxy'] }, 'login.trustedProxies.0: must be an address or a network'],
    [{ limits: { perAddress: '10' } }, 'login.limits.perAddress: must be a number of attempts'],
    [{ limits: { perAddress: '0/m' } }, 'login.limits.perAddress: must be a number of attempts'],
    [{ maxSessions: 0 }, 'login.maxSessions: '],
    [
      { clusters: { prod: { server: 'https://prod' } } },
      'login.clusters.prod.audience: is missing',
    ],
    [
      { clusters: { prod: { audience: 'a', server: 'http://prod' } } },
      'login.clusters.prod.server: tokens would cross the network in clear',
    ],
    [
      { clusters: { prod: { audience: 'a', server: 'https://login.example.com:443' } } },
      'login.clusters.prod.server: is login.publicUrl, where the login server answers',
    ],
    ...['a/b', 'Prod Cluster', '-'].map((name): [object, string] => [
      { clusters: { [name]: { audience: 'a', server: 'https://prod' } } },
      `login.clusters.${name}: must be lowercase letters, digits, dots and inner dashes, such as prod`,
    ]),
    [
      { clusters: { ['c'.repeat(64)]: { audience: 'a', server: 'https://prod' } } },
      `login.clusters.${'c'.repeat(64)}: must have at most 63 characters`,
    ],
    [
      {
        clusters: Object.fromEntries(
          ['a', 'b', 'c'].map((one) => [
            one,
            { audience: one === 'c' ? 'c' : 'same', server: 'https://x' },
          ]),
        ),
      },
      'login.clusters.b.audience: is also the audience of cluster a: a session for one would be valid for the other',
    ],
    [{ passwords: true }, 'login.passwords: unknown key'],
  ])('%j', (changed, expected) => {
    expect(problemsOf(changed)).toEqual([expect.stringContaining(expected)]);
  });

  test.each<[object, object, string]>([
    [{ authenticators: [] }, {}, 'login.authenticators: is empty, so no one can log in'],
    [
      { browser: true },
      { cache: {} },
      'login.browser: needs a Redis in which all replicas find the logins in progress',
    ],
    [
      { providers: { okta } },
      {},
      'login.providers: has no effect without a page to choose a provider on',
    ],
    [{ logo: 'logo.svg' }, {}, 'login.logo: has no effect without pages to show it on'],
    [{ title: 'Example Corp' }, {}, 'login.title: has no effect without pages to show it on'],
    [{ title: 'Sallyport' }, {}, 'login.title: has no effect without pages to show it on'],
    [{ logo: 'https://a/logo.png', browser: true }, {}, 'login.logo: must be a file'],
    [{ title: 'x'.repeat(61) }, {}, 'login.title: must have at most 60 characters'],
    ...[
      [{ scopes: 'openid email' }, 'scopes: must be a list, such as [openid, email]'],
      [{ prompt: 'none' }, 'prompt: must not be none, which lets the provider show no page'],
      [{ scopes: ['email'] }, 'scopes: must contain openid: add it'],
      [{ clientId: undefined }, 'clientId: is missing'],
      [{ ttl: '31d' }, 'ttl: "31d" is too long'],
      [{ title: 'x'.repeat(65) }, 'title: must have at most 64 characters'],
      [{ clientSecret: { env: 'A', more: 1 } }, 'clientSecret: must be '],
      [{ secret: 'x' }, 'secret: unknown key'],
    ].map(([own, message]): [object, object, string] => [
      { browser: true, providers: { okta: { ...okta, ...Object(own) } } },
      {},
      `login.providers.okta.${message}`,
    ]),
    ...['a/b', '..', 'Okta'].map((name): [object, object, string] => [
      { browser: true, providers: { [name]: okta } },
      {},
      `login.providers.${name}: must be lowercase letters, digits, dots and inner dashes, such as okta`,
    ]),
  ])('a login in a browser: %j %j', (changed, more, expected) => {
    expect(problemsOf(changed, undefined, { cache: sharedCache, ...more })).toEqual([
      expect.stringContaining(expected),
    ]);
  });

  test.each([
    {
      own: { username: { prefix: 'corp:' } },
      expected: 'authenticators.1.username.prefix: has no effect on sessions',
    },
    {
      own: { groups: { prefix: 'corp:' } },
      expected: 'authenticators.1.groups.prefix: has no effect on sessions',
    },
    {
      own: { groups: { allow: ['k8s-*'] } },
      expected: 'authenticators.1.groups.allow: has no effect on sessions',
    },
    {
      own: { allowSystemNames: ['system:x'] },
      expected: 'authenticators.1.allowSystemNames: has no effect on sessions',
    },
  ])('names of sessions: $own', ({ own, expected }) => {
    expect(problemsOf({}, [corp, { ...sessions, ...own }])).toEqual([
      expect.stringContaining(expected),
    ]);
  });

  const port = ', with its port unless that is 443';
  test.each([
    ['login.corp.net', `https://login.corp.net${port}`],
    ['login.corp.net:9444', 'https://login.corp.net:9444'],
    ['https://ada:secret@login.corp.net:9444/login', 'https://login.corp.net:9444'],
    ['http://localhost:9444/login', 'http://localhost:9444'],
    ['http://login.corp.net', `https://login.corp.net${port}`],
    ['ldaps://login.corp.net', `https://login.corp.net${port}`],
    ['https://0.0.0.0:9444', 'https://login.example.com:9444'],
    ['https://a.corp.net:9444,https://b.corp.net', 'https://a.corp.net:9444'],
    ['https://*.corp.net', 'https://login.example.com'],
    ['http://[::]', `https://login.example.com${port}`],
    ...['', 'a b', 7].map((text) => [text, `https://login.example.com${port}`]),
  ])('the publicUrl %j, and what to write keeps its host and port', (publicUrl, written) => {
    const { problems } = parseFile({
      authenticators: [corp, sessions],
      login: { ...login, publicUrl },
    });
    expect(problems).toMatchObject([{ path: ['login', 'publicUrl'], fix: `write ${written}` }]);
  });

  test.each([null, 7, 'on', []])('something else in its place: %j', (value) => {
    const { problems } = parseFile({ authenticators: [corp, sessions], login: value });
    expect(problems).toMatchObject([{ path: ['login'] }]);
  });
});
