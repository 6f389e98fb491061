import { describe, expect, test } from 'vitest';
import { folderWithProbe, pluginSource, problemsOf, yaml } from './testing/config-folder.ts';

describe('problems of the gateway’s own settings, with place and fix', () => {
  test.each([
    {
      name: 'a prefix of Kubernetes itself',
      parts: { authenticator: '    username: { prefix: "system:" }' },
      expected:
        '7:25: authenticators[0].username.prefix: begins with system:, which is reserved for Kubernetes: the identity policy would refuse every user: write another prefix, such as corp:',
    },
    {
      name: 'a prefix of Kubernetes itself, of groups',
      parts: { authenticator: '    groups: { prefix: "system:team-" }' },
      expected: '7:23: authenticators[0].groups.prefix: begins with system:',
    },
    {
      name: 'a duration without a unit',
      parts: { authenticator: '    timeout: 3' },
      expected: '7:14: authenticators[0].timeout: "3" has no unit: write 3s, 500ms, 2m or 1h',
    },
    {
      name: 'a size without a unit',
      parts: { server: '  maxBodySize: 1000' },
      expected: '3:16: server.maxBodySize: "1000" has no unit: write 256KiB, 1MiB or 512B',
    },
    {
      name: 'a duration of 0',
      parts: { server: '  drainTimeout: 0s' },
      expected: '3:17: server.drainTimeout: must be more than 0: write 500ms or more',
    },
    {
      name: 'a review that kube-apiserver no longer waits for',
      parts: { server: '  reviewTimeout: 31s' },
      expected:
        'write at most 30s (kube-apiserver waits 30s for an answer and does not retry after that)',
    },
    {
      name: 'a duration beyond timers',
      parts: { server: '  drainTimeout: 8d' },
      expected: '3:17: server.drainTimeout: "8d" is too long: write at most 7d',
    },
    {
      name: 'an authorization webhook without a place for blocks',
      parts: { server: '  authorize: true' },
      expected:
        '3:3: server.authorize: needs a Redis in which replicas find the blocks: add cache.redis, or remove this key',
    },
    {
      name: 'a body beyond kube-apiserver',
      parts: { server: '  maxBodySize: 4MiB' },
      expected: 'server.maxBodySize: "4MiB" is too big: write at most 3MiB (kube-apiserver itself',
    },
    {
      name: 'an address',
      parts: { server: '  listen: 8080' },
      expected: '3:11: server.listen: must be an address and a port: write 127.0.0.1:8080',
    },
    {
      name: 'a wrong kind',
      parts: { server: '  apiAudiences: x' },
      expected: '3:17: server.apiAudiences: must be a list: write [x]',
    },
    {
      name: 'a text with signs of YAML where a list belongs',
      parts: { authenticator: '    groups: { allow: "*-admins" }' },
      expected: 'must be a list: write ["*-admins"]',
    },
    {
      name: 'an empty value',
      parts: { server: '  apiAudiences:' },
      expected: 'server.apiAudiences: is empty: give it a value, or remove the key',
    },
    {
      name: 'a number below its bound',
      parts: { authenticator: '    groups: { max: 0 }' },
      expected: 'authenticators[0].groups.max: must be at least 1',
    },
    {
      name: 'a choice',
      parts: { authenticator: '    onError: contineu' },
      expected: 'authenticators[0].onError: must be continue or stop: did you mean continue?',
    },
    {
      name: 'a log level',
      parts: { more: 'log: { level: warning }' },
      expected: 'log.level: must be trace or debug or info or warn or error or silent',
    },
    {
      name: 'clientAuth other than none',
      parts: { server: '  tls: { certFile: c, keyFile: k, clientAuth: off }' },
      expected: 'server.tls.clientAuth: must be none',
    },
    {
      name: 'a mistyped key',
      parts: { authenticator: '    name2: x' },
      expected: '7:5: authenticators[0].name2: unknown key: did you mean name?',
    },
    {
      name: 'a missing key',
      parts: { server: '  tls: { certFile: c, clientAuth: none }' },
      expected: '3:8: server.tls.keyFile: is missing',
    },
    {
      name: 'a section that does not exist',
      parts: { more: 'quotas: {}' },
      expected:
        '8:1: quotas: unknown key: remove it, or write one of: server, admin, authenticators, cache, lockout, login, audit, provenance, tracing',
    },
    {
      name: 'an unknown key deep in',
      parts: { server: '  tls: { certFile: c, keyFile: k, clientAuth: none, clientCaFiel: x }' },
      expected: '3:53: server.tls.clientCaFiel: unknown key: did you mean clientCAFile?',
    },
    {
      name: 'names that do nothing',
      parts: { authenticator: '    allowSystemNames: ["*"]' },
      expected:
        'authenticators[0].allowSystemNames[0]: must begin with "system:": other names need no permission: write a name of Kubernetes such as system:masters, or remove it',
    },
    {
      name: 'plain HTTP off loopback',
      parts: { server: '  listen: 0.0.0.0:8080' },
      expected:
        '3:11: server.listen: tokens would cross the network in clear: plain HTTP is for loopback only: add server.tls, or listen on 127.0.0.1 or [::1]',
    },
    {
      name: 'TLS that says nothing of clients',
      parts: { server: '  tls: { certFile: c, keyFile: k }' },
      expected:
        '3:3: server.tls: no client authentication is configured: set clientCAFile and clientNames, or set clientAuth: none explicitly',
    },
    {
      name: 'a CA without names',
      parts: { server: '  tls: { certFile: c, keyFile: k, clientCAFile: a }' },
      expected: 'server.tls.clientCAFile: without clientNames accepts every certificate of that CA',
    },
    {
      name: 'names without a CA',
      parts: { server: '  tls: { certFile: c, keyFile: k, clientNames: [a] }' },
      expected:
        'server.tls.clientNames: need a CA: without one, anyone can make a certificate with such a name: add clientCAFile',
    },
    {
      name: 'no names',
      parts: { server: '  tls: { certFile: c, keyFile: k, clientCAFile: a, clientNames: [] }' },
      expected: 'server.tls.clientNames: must not be empty: write at least one entry',
    },
    {
      name: 'a name without letters',
      parts: { server: '  tls: { certFile: c, keyFile: k, clientCAFile: a, clientNames: [""] }' },
      expected: 'server.tls.clientNames[0]: must not be empty: give it a value',
    },
    {
      name: 'both',
      parts: { server: '  tls: { certFile: c, keyFile: k, clientAuth: none, clientCAFile: a }' },
      expected: 'server.tls.clientAuth: "none" contradicts clientCAFile and clientNames',
    },
    {
      name: 'a timeout as long as the review, in the units of the file',
      parts: { authenticator: '    timeout: 10s' },
      expected:
        '7:14: authenticators[0].timeout: 10s is not less than server.reviewTimeout (10s): it would leave',
    },
    {
      name: 'the same in other units',
      parts: { server: '  reviewTimeout: 9000ms', authenticator: '    timeout: 0.5m' },
      expected: 'authenticators[0].timeout: 0.5m is not less than server.reviewTimeout (9000ms)',
    },
    {
      name: 'the same with a timeout that is left out',
      parts: { server: '  reviewTimeout: 2500ms' },
      expected: 'authenticators[0].timeout: 3s is not less than server.reviewTimeout (2500ms)',
    },
    {
      name: 'a limit that leaves no slot',
      parts: { authenticator: '    maxConcurrent: 1000' },
      expected:
        'authenticators[0].maxConcurrent: 1000 is not less than server.maxInFlight (1000): if this authenticator hangs, it alone could take every slot',
    },
    {
      name: 'limits that leave no slot when all hang',
      parts: {
        authenticator: '    maxConcurrent: 800',
        more: '  - { name: other, use: ./probe.js, maxConcurrent: 200 }',
      },
      expected:
        "7:20: authenticators[0].maxConcurrent: the sum of maxConcurrent (800 + 200 = 1000) must be less than server.maxInFlight (1000), so that hanging authenticators can't take every slot: lower maxConcurrent of one authenticator, or raise server.maxInFlight above 1000",
    },
    {
      name: 'one limit that leaves no slot next to the share of an authenticator without a limit',
      parts: { more: '  - { name: other, use: ./probe.js, maxConcurrent: 900 }' },
      expected:
        'authenticators[1].maxConcurrent: the sum of maxConcurrent (100 + 900 = 1000) must be',
    },
    {
      name: 'one name twice',
      parts: { more: '  - { name: probe, use: ./probe.js }' },
      expected: '8:13: authenticators[1].name: "probe" is also the name of authenticators[0]',
    },
    {
      name: 'a token as big as the body',
      parts: { server: '  maxBodySize: 16KiB' },
      expected:
        'server.maxTokenSize: 16KiB is not less than server.maxBodySize (16KiB): a token has to fit into a body: lower it',
    },
    {
      name: 'one address for both',
      parts: { more: 'admin: { listen: "localhost:8080" }' },
      expected: '8:18: admin.listen: is also the address of server.listen: choose another port',
    },
  ])('$name', async ({ parts, expected }) => {
    const problems = await problemsOf(yaml(parts));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(/^gateway\.yaml:\d+:\d+: /);
    expect(problems[0]).toContain(expected);
  });

  test('a rule is reported with an item with a wrong pattern', async () => {
    await using folder = await folderWithProbe();
    const parts = {
      server: '  listen: 0.0.0.0:8080',
      authenticator: '    allowSystemNames: ["*"]',
    };
    expect(await folder.problems(yaml(parts))).toEqual([
      expect.stringContaining('server.listen: tokens would cross the network in clear'),
      expect.stringContaining('allowSystemNames[0]: must begin with "system:"'),
    ]);
  });

  test('a rule that needs a wrong value is not checked', async () => {
    await using folder = await folderWithProbe();
    const parts = {
      server: '  reviewTimeout: 31s\n  maxInFlight: 0.5',
      authenticator: '    timeout: 40s\n    maxConcurrent: 5000',
    };
    expect(await folder.problems(yaml(parts).replace('  maxInFlight: 1000\n', ''))).toEqual([
      expect.stringContaining('server.reviewTimeout: "31s" is too long'),
      expect.stringContaining('server.maxInFlight: must be a whole number'),
    ]);
  });

  test.each(['Probe', '-a', 'a-', 'a_b', 'a.b', 'a b', '', 'a'.repeat(64)])(
    'the name %j',
    async (name) => {
      const problems = await problemsOf(
        `authenticators: [{ name: ${JSON.stringify(name)}, use: ./probe.js }]`,
      );
      expect(problems).toEqual([
        expect.stringContaining('gateway.yaml:1:26: authenticators[0].name: must '),
      ]);
    },
  );

  test.each([
    ['authenticators: []', '1:17: authenticators: must not be empty: write at least one entry'],
    [
      'server: { maxInFlight: 1 }\nauthenticators: [{ name: a, use: ./probe.js }]',
      '1:24: server.maxInFlight: must be a whole number from 2 to 100000',
    ],
    [
      'server: { maxInFlight: 2 }\nauthenticators: [{ name: a, use: ./probe.js }, { name: b, use: ./probe.js }]',
      "1:24: server.maxInFlight: the sum of maxConcurrent (1 + 1 = 2) must be less than server.maxInFlight (2), so that hanging authenticators can't take every slot: raise server.maxInFlight above 2",
    ],
    ['log: {}', '1:1: authenticators: is missing'],
    [
      'authenticators: 1',
      '1:17: authenticators: must be a list: begin each of its entries with "- "',
    ],
    ['authenticators: [1]', '1:18: authenticators[0]: must be keys and values'],
    ['authenticators: [{ name: a }]', '1:18: authenticators[0].use: is missing'],
    ['authenticators: [{ use: ./probe.js }]', '1:18: authenticators[0].name: is missing'],
    [
      'authenticators: [{ name: a, use: ./probe.js, options: [] }]',
      'authenticators[0].options: must be keys and values',
    ],
  ])('%s', async (text, expected) => {
    expect(await problemsOf(text)).toEqual([expect.stringContaining(expected)]);
  });

  test('port 0 is never the same address, and the admin listener may be anywhere', async () => {
    await using folder = await folderWithProbe();
    const config = await folder.load(
      yaml({ server: '  listen: 127.0.0.1:0', more: 'admin: { listen: "0.0.0.0:0" }' }),
    );
    expect(config.admin.listen).toEqual({ host: '0.0.0.0', port: 0 });
  });
});

test('all problems are reported in one run, in the order of the file, rules between values among them', async () => {
  await using folder = await folderWithProbe(pluginSource('z.object({ url: z.url() })'));
  const problems = await folder.problems(`server:
  listen: 0.0.0.0:8080
  reviewTimeout: 5
  maxTokenSize: 1MiB
  tsl: {}
authenticators:
  - use: ./probe.js
    timeout: 20s
    options: { ulr: x, secret: { env: NOT_SET } }
  - name: b
    use: "@acme/none"
    maxConcurrent: 5000
`);
  expect(problems.map((problem) => problem.split(': ').slice(0, 2).join(': '))).toEqual([
    'gateway.yaml:2:11: server.listen',
    'gateway.yaml:3:18: server.reviewTimeout',
    'gateway.yaml:4:17: server.maxTokenSize',
    'gateway.yaml:5:3: server.tsl',
    'gateway.yaml:7:5: authenticators[0].name',
    'gateway.yaml:9:16: authenticators[0].options.ulr',
    'gateway.yaml:9:24: authenticators[0].options.secret',
    'gateway.yaml:9:32: authenticators[0].options.secret',
    'gateway.yaml:11:10: authenticators[1].use',
    'gateway.yaml:12:20: authenticators[1].maxConcurrent',
  ]);
});

describe('`directory` that can find no one, or would do nothing', () => {
  const corp = '  - name: corp\n    use: ./probe.js';
  const sessions = '  - name: sessions\n    use: ./probe.js';
  const login = (authenticators: string, of = 'sessions') =>
    `login: { publicUrl: https://login.example.com, sessions: ${of}, authenticators: [${authenticators}] }`;
  test.each([
    {
      name: 'another name',
      authenticator: '    directory: { authenticator: corb }',
      more: corp,
      expected:
        '7:33: authenticators[0].directory.authenticator: "corb" is not an authenticator of this file: did you mean corp?',
    },
    {
      name: 'no name',
      authenticator: '    directory: { authenticator: { toString: x } }',
      more: corp,
      expected: '7:33: authenticators[0].directory.authenticator: must be a string',
    },
    {
      name: 'a name that is like none',
      authenticator: '    directory: { authenticator: ldap }',
      more: '',
      expected:
        '"ldap" is not an authenticator of this file: write the name of an authenticator with use: ldap',
    },
    {
      name: 'itself',
      authenticator: '    directory: { authenticator: probe }',
      more: corp,
      expected:
        '7:33: authenticators[0].directory.authenticator: is this authenticator itself: write the name of an authenticator with use: ldap',
    },
    {
      name: 'a circle',
      authenticator: '    directory: { authenticator: corp }',
      more: `${corp}\n    directory: { authenticator: probe }`,
      expected:
        'corp has a directory of its own: groups would come from it in one place, and from probe in another: remove directory of corp, or write probe here',
    },
    {
      name: 'a prefix of groups that are replaced',
      authenticator: '    directory: { authenticator: corp }\n    groups: { prefix: "oidc:" }',
      more: corp,
      expected:
        '8:15: authenticators[0].groups.prefix: has no effect: the groups of corp replace those of the token, and have the names that it gives them: set this key at corp, or write directory.groups: add',
    },
    {
      name: 'allowed groups that are replaced',
      authenticator: '    directory: { authenticator: corp }\n    groups: { allow: [a] }',
      more: corp,
      expected:
        '8:15: authenticators[0].groups.allow: has no effect: the groups of corp replace those of the token',
    },
    {
      name: 'users who log in',
      authenticator: '    directory: { authenticator: corp }',
      more: `${corp}\n${sessions}\n${login('probe')}`,
      expected:
        "7:5: authenticators[0].directory: can't be used for probe: its users log in, and their sessions would have other groups than their tokens: remove it, or remove probe from login.authenticators",
    },
    {
      name: 'sessions',
      authenticator: '    directory: { authenticator: corp }',
      more: `${corp}\n${login('corp', 'probe')}`,
      expected:
        '7:5: authenticators[0].directory: has no effect on sessions: their users are looked up by the authenticator that logged them in: remove it, or name another',
    },
    {
      name: 'two kinds of `by`',
      authenticator: '    directory: { authenticator: corp, by: mail }',
      more: corp,
      expected: 'authenticators[0].directory.by: must be username, uid, or { extra: KEY }',
    },
    {
      name: 'answers that are used for too long',
      authenticator: '    directory: { authenticator: corp, refresh: 2d }',
      more: corp,
      expected: 'authenticators[0].directory.refresh: "2d" is too long: write at most 24h',
    },
  ])('$name', async ({ authenticator, more, expected }) => {
    await using folder = await folderWithProbe();
    expect(await folder.problems(yaml({ authenticator, more }))).toContainEqual(
      expect.stringContaining(expected),
    );
  });

  test('no group of the token passes the identity policy where a directory replaces them', async () => {
    await using folder = await folderWithProbe();
    const authenticator = '    directory: { authenticator: corp }';
    const [probe] = (await folder.load(yaml({ authenticator, more: corp }))).authenticators;
    expect(probe?.groups).toEqual({ prefix: '', max: 1_000, allow: [] });
  });

  test('groups of the token may have a prefix where they are added', async () => {
    await using folder = await folderWithProbe();
    const authenticator =
      '    directory: { authenticator: corp, by: { extra: mail }, groups: add }\n    groups: { prefix: "oidc:" }';
    const [probe] = (await folder.load(yaml({ authenticator, more: corp }))).authenticators;
    expect(probe?.directory).toEqual({
      authenticator: 'corp',
      by: { extra: 'mail' },
      groups: 'add',
      missing: 'reject',
      refresh: 300_000,
    });
  });
});
