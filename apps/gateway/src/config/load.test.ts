import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadConfig } from './load.ts';
import { ConfigError } from './problems.ts';
import {
  configFolder,
  folderWithProbe,
  pluginSource,
  problemsOf,
  yaml,
} from './testing/config-folder.ts';

describe('a valid config', () => {
  test('gets every default where it has only what it must have', async () => {
    await using folder = await folderWithProbe();
    const config = await folder.load('authenticators: [{ name: probe, use: ./probe.js }]');
    expect(config).toEqual({
      file: folder.file,
      baseDirectory: folder.path,
      digest: expect.stringMatching(/^[0-9a-f]{12}$/),
      secretFiles: [],
      pluginFiles: [join(folder.path, 'probe.js')],
      server: {
        listen: { host: '127.0.0.1', port: 8080 },
        authorize: false,
        apiAudiences: [],
        reviewTimeout: 10_000,
        maxBodySize: 262_144,
        maxTokenSize: 16_384,
        maxInFlight: 1000,
        maxConnectionAge: 600_000,
        shutdownDelay: 5_000,
        drainTimeout: 20_000,
      },
      admin: { listen: { host: '127.0.0.1', port: 8081 } },
      check: { acknowledge: [] },
      acknowledgements: [],
      authenticators: [
        {
          name: 'probe',
          use: './probe.js',
          package: join(folder.path, 'probe.js'),
          plugin: expect.objectContaining({ name: 'probe' }),
          options: {},
          timeout: 3_000,
          maxConcurrent: 100,
          maxWaiting: 899,
          circuit: { minimumCalls: 5, openFor: 5_000 },
          onError: 'continue',
          reviews: true,
          allowSystemNames: [],
          allowCredentialId: false,
          username: { prefix: '' },
          groups: { prefix: '', max: 1000 },
          cache: 'off',
          fingerprint: expect.stringMatching(/^[\w-]{43}$/),
          problem: expect.any(Function),
          loginProblem: expect.any(Function),
          providerProblem: expect.any(Function),
          directoryProblem: expect.any(Function),
          withhold: expect.any(Function),
        },
      ],
      cache: {
        authenticatedTtl: 300_000,
        rejectedTtl: 30_000,
        unknownTtl: 10_000,
        staleTtl: 600_000,
        memory: { maxEntries: 50_000 },
      },
      lockout: { maxFailures: 3, window: 1_800_000 },
      log: { level: 'info' },
      warnings: [],
      locate: expect.any(Function),
      hasSecrets: false,
    });
  });

  test('is read with units, TLS files next to it, secrets and the order of authenticators', async () => {
    await using folder = await folderWithProbe();
    const [url, password] = [randomBytes(16).toString('hex'), randomBytes(16).toString('hex')];
    await folder.write('secrets/ldap', `${password}\n`);
    const config = await folder.load(
      `server:
  listen: :8443
  tls:
    certFile: tls/server.crt
    keyFile: /etc/server.key
    minVersion: TLSv1.3
    clientCAFile: tls/front-ca.crt
    clientNames: [kube-apiserver]
  reviewTimeout: 30s
  shutdownDelay: 0
authenticators:
  - { name: first, use: ./probe.js, options: { url: { env: URL } }, groups: { prefix: "a:", allow: ["k8s-*"], max: 1 } }
  - { name: second, use: ./probe.js, options: { bind: { password: { file: secrets/ldap } } }, maxConcurrent: 7 }
`,
      { URL: url },
    );
    expect(config.server).toMatchObject({
      listen: { host: '::', port: 8443 },
      reviewTimeout: 30_000,
      shutdownDelay: 0,
    });
    expect(config.server.tls).toEqual({
      certFile: join(folder.path, 'tls/server.crt'),
      keyFile: '/etc/server.key',
      minVersion: 'TLSv1.3',
      client: { caFile: join(folder.path, 'tls/front-ca.crt'), names: ['kube-apiserver'] },
    });
    expect(config.authenticators.map(({ name, options }) => [name, options])).toEqual([
      ['first', { url }],
      ['second', { bind: { password } }],
    ]);
    expect(config.authenticators[0]?.groups).toEqual({ prefix: 'a:', allow: ['k8s-*'], max: 1 });
    expect(config.authenticators[1]?.maxConcurrent).toBe(7);
    expect(config.secretFiles).toEqual([join(folder.path, 'secrets/ldap')]);
  });

  test('may say clientAuth: none explicitly', async () => {
    await using folder = await folderWithProbe();
    const config = await folder.load(
      yaml({ server: '  tls: { certFile: c, keyFile: k, clientAuth: none }' }),
    );
    expect(config.server.tls).toEqual({
      certFile: join(folder.path, 'c'),
      keyFile: join(folder.path, 'k'),
      minVersion: 'TLSv1.2',
    });
  });

  test('what the limits leave of maxInFlight is for lookups that wait, in equal shares', async () => {
    await using folder = await folderWithProbe();
    const authenticators =
      '[{ name: a, use: ./probe.js, maxConcurrent: 40 }, { name: b, use: ./probe.js }]';
    const config = await folder.load(
      `server: { maxInFlight: 100 }\nauthenticators: ${authenticators}\n`,
    );
    // 100 - 40 - 33 - 1, by two.
    expect(config.authenticators.map(({ maxWaiting }) => maxWaiting)).toEqual([13, 13]);
  });

  test.each([
    { maxInFlight: 1000, authenticators: [''], limits: [100] },
    { maxInFlight: 1000, authenticators: ['', ''], limits: [100, 100] },
    { maxInFlight: 100, authenticators: [''], limits: [50] },
    { maxInFlight: 100, authenticators: ['', ''], limits: [33, 33] },
    { maxInFlight: 100, authenticators: ['', 'maxConcurrent: 66'], limits: [33, 66] },
    { maxInFlight: 4, authenticators: ['', '', ''], limits: [1, 1, 1] },
    { maxInFlight: 2, authenticators: [''], limits: [1] },
  ])(
    'with maxInFlight $maxInFlight and the authenticators $authenticators their limits are $limits',
    async ({ maxInFlight, authenticators, limits }) => {
      await using folder = await folderWithProbe();
      const entries = authenticators.map(
        (settings, index) => `  - { name: a${index}, use: ./probe.js, ${settings} }`,
      );
      const config = await folder.load(
        `server: { maxInFlight: ${maxInFlight} }\nauthenticators:\n${entries.join('\n')}\n`,
      );
      expect(config.authenticators.map(({ maxConcurrent }) => maxConcurrent)).toEqual(limits);
    },
  );

  test('plugins that are files are listed, once each, and packages are not', async () => {
    await using folder = await folderWithProbe();
    await folder.install('@acme/probe', pluginSource('z.object({})'));
    await folder.write('plugins/other.js', pluginSource('z.object({})'));
    const uses = ['./probe.js', '@acme/probe', './plugins/other.js', join(folder.path, 'probe.js')];
    const entries = uses.map((use, index) => `  - { name: a${index}, use: "${use}" }`);
    const { pluginFiles } = await folder.load(`authenticators:\n${entries.join('\n')}\n`);
    expect(pluginFiles).toEqual(
      ['probe.js', 'plugins/other.js'].map((name) => join(folder.path, name)),
    );
  });

  test('options come as the plugin’s schema returns them, also from a validation that takes its time', async () => {
    await using folder = await folderWithProbe(
      pluginSource('z.object({ a: z.string().default("preset").refine(async () => true) })'),
    );
    const config = await folder.load('authenticators: [{ name: a, use: ./probe.js }]');
    expect(config.authenticators[0]?.options).toEqual({ a: 'preset' });
  });
});

describe('the file itself', () => {
  test('is reported with its path and the fix when it is missing', async () => {
    await using folder = await configFolder();
    const error: unknown = await loadConfig(folder.file, {}).catch((reason) => reason);
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toMatchObject({
      files: [folder.file],
      message: `${folder.file}: can't be read: there is no such file\n  fix: name a gateway.yaml with --config or SALLYPORT_CONFIG, or create one with the command init`,
    });
  });
  test.each<{ content: string | Uint8Array; problems: unknown[] }>([
    {
      content: new Uint8Array([0x61, 0x3a, 0x20, 0xff]),
      problems: ['gateway.yaml: is not valid UTF-8: see byte 4 of line 1: save it as UTF-8 text'],
    },
    {
      content: new Uint8Array([...Buffer.from('a: \ufffd\nb: '), 0xef, 0xbf]),
      problems: ['gateway.yaml: is not valid UTF-8: see byte 4 of line 2: save it as UTF-8 text'],
    },
    {
      content: new Uint8Array([...Buffer.from('a: na'), 0xef, 0x76]),
      problems: ['gateway.yaml: is not valid UTF-8: see byte 6 of line 1: save it as UTF-8 text'],
    },
    {
      content: `# ${'x'.repeat(1024 * 1024)}`,
      problems: [expect.stringContaining('must be at most 1 MiB')],
    },
    {
      content: 'a: 1\na: 2\nb: 1\nb: 2',
      problems: [2, 4].map(
        (line) =>
          `gateway.yaml:${line}:1: duplicate key, which is already on line ${line - 1}: remove one, or write "- " before the first key of a new list entry`,
      ),
    },
  ])('has all its problems reported together (case %#)', async ({ content, problems }) => {
    expect(await problemsOf(content)).toEqual(problems);
  });
  test('a plugin file that does not exist is listed too', async () => {
    await using folder = await configFolder();
    const error: unknown = await folder
      .load('authenticators: [{ name: a, use: ./none.ts }]')
      .catch((reason) => reason);
    expect(error).toMatchObject({ files: [folder.file, join(folder.path, 'none.ts')] });
  });
  test('files that a failed load has read are listed, to be watched for the fix', async () => {
    await using folder = await folderWithProbe();
    const text = 'authenticators: [{ name: a, use: ./probe.js, options: { a: { file: none } } }]';
    const error: unknown = await folder.load(text).catch((reason) => reason);
    expect(error).toMatchObject({
      files: [folder.file, ...['none', 'probe.js'].map((name) => join(folder.path, name))],
    });
  });
});

describe('a secret that is written in the file', () => {
  const source = pluginSource(
    'z.strictObject({ password: z.string().meta({ writeOnly: true }).optional() })',
  );
  const withPassword = (value: string) =>
    yaml({ authenticator: `    options: { password: ${value} }` });

  test('is accepted, with a warning at its line that does not quote it', async () => {
    await using folder = await folderWithProbe(source);
    const { authenticators, warnings, hasSecrets } = await folder.load(withPassword('hunter2222'));
    expect(authenticators[0]?.options).toEqual({ password: 'hunter2222' });
    expect(hasSecrets).toBe(true);
    expect(warnings).toEqual([
      {
        file: folder.file,
        line: 7,
        column: 26,
        path: 'authenticators[0].options.password',
        message: expect.stringMatching(
          /^authenticator probe \(.+\): is a secret that is written in this file/,
        ),
        fix: 'write { file: PATH } or { env: NAME } instead; to make the file: (umask 077; cat > PATH)',
      },
    ]);
    expect(JSON.stringify(warnings)).not.toContain('hunter2222');
  });

  test('gives no warning when it is read from a file or a variable', async () => {
    await using folder = await folderWithProbe(source);
    await folder.write('password', 'hunter2222');
    expect((await folder.load(withPassword('{ file: password }'))).warnings).toEqual([]);
    expect((await folder.load(withPassword('{ env: A }'), { A: 'hunter2222' })).warnings).toEqual(
      [],
    );
  });
});

test('a secret of a file with empty lines at its end is a warning at its line, for authenticators and cache.redis', async () => {
  await using folder = await folderWithProbe();
  await folder.write('s', `${randomBytes(32).toString('base64')}\n\n`);
  await folder.write('password', 'hunter2222\n\n');
  const more = `cache: { redis: { url: "redis://127.0.0.1", password: { file: password }, sealingKeys: [{ env: KEY }] } }`;
  const text = yaml({ authenticator: '    options: { a: { file: s } }', more });
  const { warnings, hasSecrets } = await folder.load(text, {
    KEY: randomBytes(32).toString('base64'),
  });
  expect(hasSecrets).toBe(false);
  expect(warnings).toMatchObject([
    { path: 'cache.redis.password', line: expect.any(Number) },
    { path: 'authenticators[0].options.a', line: expect.any(Number) },
  ]);
});

describe('a pattern of groups that begins with the prefix of its own authenticator', () => {
  const withGroups = (groups: string) => yaml({ authenticator: `    groups: ${groups}` });

  test('is accepted, with a warning at its line and no word of a secret', async () => {
    await using folder = await folderWithProbe();
    const text = withGroups('{ prefix: "corp:", allow: ["k8s-*", "corp:developers", "corp:"] }');
    const { warnings, hasSecrets } = await folder.load(text);
    expect(hasSecrets).toBe(false);
    const why =
      'begins with groups.prefix, and is compared with the names of the backend, which come before the prefix';
    expect(warnings).toMatchObject([
      {
        line: expect.any(Number),
        path: 'authenticators[0].groups.allow[1]',
        message: `"corp:developers" ${why}`,
        fix: 'write "developers"',
      },
      { path: 'authenticators[0].groups.allow[2]', fix: 'write the name of a group' },
    ]);
  });

  test.each([
    '{ prefix: "corp:", allow: ["*", "k8s-corp:*"] }',
    '{ allow: ["corp:*"] }',
    '{ prefix: "corp:" }',
  ])('is not %s', async (groups) => {
    await using folder = await folderWithProbe();
    expect((await folder.load(withGroups(groups))).warnings).toEqual([]);
  });
});
