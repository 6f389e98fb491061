import { describe, expect, test } from 'vitest';
import { folderWithProbe, yaml } from './testing/config-folder.ts';
import type { LoginConfig } from './types.ts';
import { unlikelyValues } from './unlikely.ts';

function found(written: object): string[] {
  return unlikelyValues({ authenticators: [] }, written).map(
    ({ path, message }) => `${path.join('.')}: ${message}`,
  );
}

const login = (written: object) => {
  const { providers, ...others } = { providers: {}, ...written };
  const settings = { ttl: 3_600_000, idle: 7_200_000, revalidate: 300_000, providers, ...others };
  return settings as unknown as LoginConfig;
};

test.each([
  { keys: { idle: 7_200_000 }, expected: ['login.idle: 7200000 has no effect'] },
  { keys: { revalidate: 3_600_001 }, expected: ['login.revalidate: 3600001 has no effect'] },
  {
    keys: { providers: { sso: { ttl: 3_600_001 } } },
    expected: ['login.providers.sso.ttl: 3600001 has no effect'],
  },
  { keys: { idle: 3_600_000, providers: { sso: { ttl: 60_000 } } }, expected: [] },
  { keys: {}, expected: [] },
])('of $keys, times of a session that are above its ttl have no effect', ({ keys, expected }) => {
  const warnings = unlikelyValues({ authenticators: [], login: login(keys) }, { login: keys });
  expect(warnings.map(({ path, message }) => `${path.join('.')}: ${message}`)).toEqual(
    expected.map((text) => `${text}: each session expires after login.ttl (60m)`),
  );
});

test.each([
  { keys: { title: '<b>Acme</b>' }, paths: ['login.title'] },
  { keys: { providers: { sso: { title: 'R&amp;D' } } }, paths: ['login.providers.sso.title'] },
  { keys: { title: 'A < B & C > D', providers: { sso: { title: 'R&D' } } }, paths: [] },
])('HTML in a title is shown as it is written: $keys', ({ keys, paths }) => {
  const warnings = unlikelyValues({ authenticators: [], login: login(keys) }, {});
  expect(warnings.map(({ path }) => path.join('.'))).toEqual(paths);
});

test('a group pattern with ! excludes nothing', () => {
  const groups = { prefix: '', allow: ['k8s-*', '!k8s-dev'] };
  const authenticators = [{ username: { prefix: '' }, groups }];
  const settings = { authenticators } as unknown as Parameters<typeof unlikelyValues>[0];
  expect(unlikelyValues(settings, {})).toEqual([
    {
      path: ['authenticators', 0, 'groups', 'allow', 1],
      message: expect.stringContaining('these globs exclude nothing'),
      fix: 'remove it, and list only the groups that may pass',
    },
  ]);
});

test('an audience with a comma is several', () => {
  expect(
    unlikelyValues({ authenticators: [] }, { server: { apiAudiences: ['a', 'b, c'] } }),
  ).toEqual([
    {
      path: ['server', 'apiAudiences', 1],
      message: '"b, c" is one audience with a comma in it, and most likely no API server has it',
      fix: 'write b, c as separate entries',
    },
  ]);
});

describe('a client name', () => {
  const named = (...clientNames: unknown[]) => found({ server: { tls: { clientNames } } });

  test.each([
    { text: 'CN=kube-apiserver', name: 'kube-apiserver' },
    { text: 'CN = kube-apiserver', name: 'kube-apiserver' },
    { text: 'CN=kube-apiserver, O=system:masters', name: 'kube-apiserver' },
    { text: 'subject=O = acme, CN = kube-apiserver', name: 'kube-apiserver' },
    { text: '/O=acme/CN=kube-apiserver', name: 'kube-apiserver' },
    { text: 'O=acme', name: 'the common name alone, such as kube-apiserver' },
    { text: 'DNS:kube.example.com', name: 'kube.example.com' },
    { text: 'URI:spiffe://example.com/a', name: 'spiffe://example.com/a' },
  ])('$text is how a certificate is shown, and not its name', ({ text, name }) => {
    const problems = unlikelyValues(
      { authenticators: [] },
      {
        server: { tls: { clientNames: [text] } },
      },
    );
    const message = expect.stringMatching(
      / is how a name is displayed, and no certificate has that name/,
    );
    expect(problems).toEqual([
      { path: ['server', 'tls', 'clientNames', 0], message, fix: `write ${name}` },
    ]);
  });

  test.each([
    'kube-apiserver',
    'system:node:a',
    'spiffe://example.com/?CN=a',
    '2001:db8::1',
    '*.example.com',
    'spiffe://example.com/kube',
    7,
  ])('%s may be one', (name) => {
    expect(named(name)).toEqual([]);
  });

  test.each(['kube-*', '*'])('%s is a pattern, and names are compared exactly', (name) => {
    expect(named(name)).toEqual([expect.stringContaining('no pattern matches')]);
  });

  test('is found with its line, in a config that loads', async () => {
    await using folder = await folderWithProbe();
    const server = '  tls: { certFile: c, keyFile: k, clientCAFile: a, clientNames: ["CN=a"] }';
    const { warnings } = await folder.load(yaml({ server }));
    expect(warnings).toMatchObject([
      {
        line: 3,
        path: 'server.tls.clientNames[0]',
        fix: 'write a',
      },
    ]);
  });
});

describe('a trusted proxy', () => {
  const trusted = (...trustedProxies: string[]) => found({ login: { trustedProxies } });

  test.each([
    '0.0.0.0/0',
    '::/0',
    '0.0.0.0/1',
    '10.0.0.0/7',
    '2000::/3',
    '::ffff:0.0.0.0/96',
    '::FFFF:0:0/103',
  ])('%s is bigger than any private network', (network) => {
    expect(trusted('192.0.2.1', network)).toEqual([
      expect.stringMatching(
        /^login\.trustedProxies\.1: ".*" contains addresses of clients: .*perAddress does not limit them$/,
      ),
    ]);
  });

  test.each([
    '10.0.0.0/8',
    'fc00::/7',
    '192.0.2.1',
    '2001:db8::1',
    '::ffff:10.0.0.0/104',
    'proxy/0',
    '0.0.0.0/x',
  ])('%s may be one, or is an error', (network) => {
    expect(trusted(network)).toEqual([]);
  });
});

describe('the audience of a cluster', () => {
  const usual = 'https://kubernetes.default.svc.cluster.local';
  const warnings = (apiAudiences: readonly string[], ...audiences: readonly string[]) => {
    const clusters = Object.fromEntries(
      audiences.map((audience, index) => [`c${index}`, { audience }]),
    );
    return found({ server: { apiAudiences }, login: { clusters } });
  };

  test.each([
    {
      name: 'most API servers have',
      apiAudiences: [],
      audiences: [usual, 'https://dev.example.com'],
      reason: 'most API servers have this audience',
    },
    {
      name: 'most API servers have',
      apiAudiences: [],
      audiences: ['https://kubernetes.default.svc', 'b'],
      reason: 'most API servers have this audience',
    },
    {
      name: 'is among those of the API servers',
      apiAudiences: ['x', 'a'],
      audiences: ['a', 'b'],
      reason: 'it is also in server.apiAudiences',
    },
  ])(
    'is warned of if it $name: $apiAudiences, $audiences',
    ({ apiAudiences, audiences, reason }) => {
      expect(warnings(apiAudiences, ...audiences)).toEqual([
        `login.clusters.c0.audience: ${JSON.stringify(audiences[0])}: ${reason}, and in another cluster whose API server ` +
          'has it, a session for c0 would be valid',
      ]);
    },
  );

  test('of the only cluster is one that its API server asks for', () => {
    expect(warnings([usual, 'x'], 'a')).toEqual([
      `login.clusters.c0.audience: "a" is not in server.apiAudiences (${usual}, x): an API server that asks only for these refuses each session for c0`,
    ]);
    expect(warnings([], 'a')).toEqual([]);
  });

  test.each([
    { name: 'of the only cluster', apiAudiences: [usual], audiences: [usual] },
    { name: 'of its own', apiAudiences: [usual], audiences: ['a', 'b'] },
    {
      name: 'together with those of all clusters',
      apiAudiences: [usual, 'a', 'b'],
      audiences: ['a', 'b'],
    },
  ])('may be one $name', ({ apiAudiences, audiences }) => {
    expect(warnings(apiAudiences, ...audiences)).toEqual([]);
  });
});

test.each(['“corp:”', '‘corp:’', '„corp:“'])('%s is in quotes of a word processor', (prefix) => {
  const problems = found({ authenticators: [{ username: { prefix } }] });
  expect(problems).toEqual([expect.stringMatching(/^authenticators\.0\.username\.prefix: is in/)]);
  expect(problems.join()).not.toContain('corp');
  expect(found({ login: { title: 'The “Corp”' } })).toEqual([]);
});

describe('a collector', () => {
  const problems = (endpoint: string) =>
    unlikelyValues({ authenticators: [] }, { tracing: { endpoint } }).map(({ fix }) => fix);

  test.each([
    { endpoint: 'http://otel:4317', fix: 'write http://otel:4318/v1/traces' },
    { endpoint: 'http://otel:4317/v1/traces', fix: 'write http://otel:4318/v1/traces' },
    { endpoint: 'http://otel:4318/v1/metrics', fix: 'write http://otel:4318/v1/traces' },
    { endpoint: 'https://otel.example.com', fix: 'write https://otel.example.com/v1/traces' },
  ])('at $endpoint takes no OTLP/HTTP', ({ endpoint, fix }) => {
    expect(problems(endpoint)).toEqual([fix]);
  });

  test.each(['http://otel:4318/v1/traces', 'https://otel.example.com/otlp/v1/traces'])(
    'at %s may take it',
    (endpoint) => {
      expect(problems(endpoint)).toEqual([]);
    },
  );
});

describe('the names of an authenticator', () => {
  const warnings = async (names: string) => {
    await using folder = await folderWithProbe();
    const { warnings } = await folder.load(yaml({ authenticator: `    ${names}` }));
    return warnings.map(({ path, fix }) => `${path}: ${fix}`);
  };

  test.each([
    {
      names: 'username: { prefix: corp }',
      warning: 'authenticators[0].username.prefix: write "corp:"',
    },
    {
      names: 'username: { prefix: "-" }',
      warning: 'authenticators[0].username.prefix: remove the key for names without a prefix',
    },
    {
      names: 'username: { prefix: "corp:{username}" }',
      warning: 'authenticators[0].username.prefix: write "corp:"',
    },
    {
      names: 'groups: { allow: ["^k8s-.*$"] }',
      warning:
        'authenticators[0].groups.allow[0]: write a glob such as k8s-*, one entry for each alternative',
    },
    {
      names: 'groups: { allow: ["k8s-(admin|view)"] }',
      warning:
        'authenticators[0].groups.allow[0]: write a glob such as k8s-*, one entry for each alternative',
    },
  ])('$names are most likely not what was meant', async ({ names, warning }) => {
    expect(await warnings(names)).toEqual([warning]);
  });

  test.each([
    'username: { prefix: "corp:" }',
    'username: { prefix: "corp-" }',
    'groups: { allow: ["k8s.*", "CORP\\\\admins", "Admins (EU)", "*"] }',
  ])('%s may be right', async (names) => {
    expect(await warnings(names)).toEqual([]);
  });
});
