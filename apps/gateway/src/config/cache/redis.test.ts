import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { issueProblems, onOneLine, wording } from '../problems.ts';
import { folderWithProbe, problemsOf, yaml } from '../testing/config-folder.ts';
import { sealingKeys } from './redis.ts';

const newKey = (bytes = 32) => randomBytes(bytes).toString('base64');
const makeKey = 'make a key with: openssl rand -base64 32';
const otherKeyFix = `name the file or variable that has the key, or ${makeKey}`;
const keyFix = `write { env: SALLYPORT_CACHE_KEY } or { file: secrets/cache-key }, and ${makeKey}`;
const secretFix =
  'write { file: PATH } or { env: NAME } instead; to make the file: (umask 077; cat > PATH)';
const good = 'url: rediss://redis, sealingKeys: [{ env: KEY }]';

/** A config with these keys of `cache.redis`, in one line. */
function withRedis(keys: string, server = ''): string {
  return yaml({ server, more: `cache: { redis: { ${keys} } }` });
}

describe('cache.redis', () => {
  test('is none unless it is written', async () => {
    await using folder = await folderWithProbe();
    expect((await folder.load(yaml({}))).cache).not.toHaveProperty('redis');
  });

  test('gets its defaults, and a timeout of commands of its own', async () => {
    await using folder = await folderWithProbe();
    const key = newKey();
    expect((await folder.load(withRedis(good), { KEY: key })).cache.redis).toEqual({
      connection: {
        servers: {
          kind: 'server',
          secure: true,
          database: 0,
          address: { host: 'redis', port: 6379 },
        },
        tls: { minVersion: 'TLSv1.2' },
        commandTimeout: 1_000,
      },
      timeout: 100,
      keyPrefix: 'sallyport:',
      sealingKeys: [new Uint8Array(Buffer.from(key, 'base64'))],
      startWithoutBlocks: false,
    });
  });

  test.each([
    { timeout: '1001ms', commandTimeout: 1_001 },
    { timeout: '1s', commandTimeout: 1_000 },
    { timeout: '999ms', commandTimeout: 1_000 },
  ])(
    'with a timeout of $timeout, a command has $commandTimeout ms',
    async ({ timeout, commandTimeout }) => {
      await using folder = await folderWithProbe();
      const { cache } = await folder.load(withRedis(`${good}, timeout: ${timeout}`), {
        KEY: newKey(),
      });
      expect(cache.redis?.connection.commandTimeout).toBe(commandTimeout);
    },
  );

  test('takes the keys of a connection, secrets from files that are listed', async () => {
    await using folder = await folderWithProbe();
    const [password, other] = [newKey(), newKey()];
    await folder.write('secrets/redis', `${password}\n`);
    await folder.write('secrets/key', `${newKey()}\n`);
    const keys =
      'sentinels: ["rediss://a", "rediss://b"], name: main, sentinelPassword: { env: OTHER }, username: sallyport, ' +
      'password: { file: secrets/redis }, database: 3, caFile: tls/ca.crt, serverName: redis.example.com, ' +
      'timeout: 10ms, keyPrefix: "a", sealingKeys: [{ file: secrets/key }]';
    const { cache, secretFiles } = await folder.load(withRedis(keys), { OTHER: other });
    expect(cache.redis).toMatchObject({
      connection: {
        servers: { kind: 'sentinel', name: 'main', database: 3, sentinelPassword: other },
        username: 'sallyport',
        password,
        tls: { caFile: 'tls/ca.crt', serverName: 'redis.example.com' },
      },
      timeout: 10,
      keyPrefix: 'a',
    });
    expect(secretFiles).toEqual(
      ['secrets/redis', 'secrets/key'].map((name) => join(folder.path, name)),
    );
  });

  test.each([
    {
      redis: '[]',
      expected:
        '8:17: cache.redis: must be keys and values: write { url: rediss://redis.example.com:6379, sealingKeys: ',
    },
    {
      redis: '{ sealingKeys: [{ env: KEY }] }',
      expected: '8:17: cache.redis.url: is missing: write url: rediss://',
    },
    {
      redis: `{ ${good}, paswoord: x }`,
      expected: '8:69: cache.redis.paswoord: unknown key: did you mean password?',
    },
    {
      redis: `{ ${good}, paswoord: { env: KEY } }`,
      expected: '8:69: cache.redis.paswoord: unknown key: did you mean password?',
    },
    {
      redis: '{ url: rediss://redis, sealingKeys: [{ env: NONE }] }',
      expected: `the environment variable NONE is not set: set it where the gateway is started; if there is no key yet, ${makeKey}`,
    },
    {
      redis: `{ url: rediss://redis, sealingKeys: [{ file: none }] }`,
      expected: `there is no such file: create it, or fix the path (relative paths start at the folder of the config file); if there is no key yet, ${makeKey}`,
    },
    {
      redis: '{ url: rediss://redis, sealingKeys: [x] }',
      expected: `is a secret, which must not be in this file: write { file: PATH } or { env: NAME } instead; to make the file: (umask 077; cat > PATH); if there is no key yet, ${makeKey}`,
    },
    {
      redis: `{ ${good}, commandTimeout: 1s }`,
      expected: 'cache.redis.commandTimeout: unknown key: did you mean timeout?',
    },
    {
      redis: '{ url: redis, sealingKeys: [{ env: KEY }] }',
      expected: 'cache.redis.url: must begin with rediss://, redis:// or unix:/',
    },
    {
      redis: '{ url: redis://redis, sealingKeys: [{ env: KEY }] }',
      expected:
        'cache.redis.url: uses clear text: write rediss://, or insecure: true if anyone on the network path may hold back revocations',
    },
    {
      redis: `{ ${good}, username: a }`,
      expected: 'cache.redis.password: is required with username: write { file: secrets/redis }',
    },
    {
      redis: `{ ${good}, timeout: 9ms }`,
      expected: 'cache.redis.timeout: "9ms" is too short: write at least 10ms',
    },
    {
      redis: `{ ${good}, timeout: 5001ms }`,
      expected: 'cache.redis.timeout: "5001ms" is too long: write at most 5s',
    },
    {
      redis: `{ ${good}, timeout: { env: KEY } }`,
      expected:
        'cache.redis.timeout: the environment variable KEY is refused; the reason is hidden because it contains a secret',
    },
    {
      redis: `{ ${good}, password: { env: NONE } }`,
      expected: 'cache.redis.password: the environment variable NONE is not set',
    },
    {
      redis: '{ url: { env: NONE }, sealingKeys: [{ env: KEY }] }',
      expected: '8:24: cache.redis.url: the environment variable NONE is not set',
    },
  ])('$redis', async ({ redis, expected }) => {
    await using folder = await folderWithProbe();
    const text = yaml({ more: `cache: { redis: ${redis} }` });
    expect(await folder.problems(text, { KEY: newKey() })).toEqual([
      expect.stringContaining(expected),
    ]);
  });

  test.each(['a', 'a:]', '!~', '~'.repeat(64)])('keyPrefix may be %j', async (keyPrefix) => {
    await using folder = await folderWithProbe();
    const text = withRedis(`${good}, keyPrefix: ${JSON.stringify(keyPrefix)}`);
    expect((await folder.load(text, { KEY: newKey() })).cache.redis?.keyPrefix).toBe(keyPrefix);
  });

  test.each(['', 'a b', 'ä', 'a\n', '{', '}', '*', '?', '[', '\\', 'a{b}', '~'.repeat(65), 7])(
    'keyPrefix may not be %j',
    async (keyPrefix) => {
      await using folder = await folderWithProbe();
      const text = withRedis(`${good}, keyPrefix: ${JSON.stringify(keyPrefix)}`);
      expect(await folder.problems(text, { KEY: newKey() })).toEqual([
        expect.stringContaining(
          'cache.redis.keyPrefix: must be visible ASCII without { } * ? [ and \\, 1 to 64 characters: write sallyport:',
        ),
      ]);
    },
  );

  test('its timeout is less than the one of a review', async () => {
    await using folder = await folderWithProbe();
    const environment = { KEY: newKey() };
    const slow = (more = '') => withRedis(`${good}, timeout: 4s${more}`, '  reviewTimeout: 4s');
    const rule =
      'cache.redis.timeout: 4s is not less than server.reviewTimeout (4s): authenticators would have no time: lower it, or raise server.reviewTimeout';
    expect(
      (await folder.problems(slow(), environment)).filter((problem) =>
        problem.includes(': cache.'),
      ),
    ).toEqual([expect.stringContaining(rule)]);
    // Another problem of the section changes nothing.
    expect((await folder.problems(slow(', insecure: true'), environment)).join('\n')).toContain(
      rule,
    );
    const quick = withRedis(`${good}, timeout: 3999ms`, '  reviewTimeout: 4s');
    expect((await folder.load(quick, environment)).cache.redis?.timeout).toBe(3_999);
  });
});

describe('problems of cache.redis', () => {
  test('are reported together with all others, each at its line, rules between values among them', async () => {
    const problems = await problemsOf(`server:
  listen: 0.0.0.0:8080
  reviewTimeout: 1s
cache:
  unknownTtl: 2h
  redis:
    url: redis
    keyPrefix: ""
    timeout: 2s
    passwort: x
    sealingKeys: [{ env: NONE }, { env: SHORT }]
authenticators:
  - { name: a, use: ./probe.js, timeout: 500ms, cache: { store: disk } }
`);
    expect(problems.map((problem) => problem.split(': ').slice(0, 2).join(': '))).toEqual([
      'gateway.yaml:2:11: server.listen',
      'gateway.yaml:5:15: cache.unknownTtl',
      'gateway.yaml:7:10: cache.redis.url',
      'gateway.yaml:8:16: cache.redis.keyPrefix',
      'gateway.yaml:9:14: cache.redis.timeout',
      'gateway.yaml:10:5: cache.redis.passwort',
      'gateway.yaml:11:19: cache.redis.sealingKeys[0]',
      'gateway.yaml:11:34: cache.redis.sealingKeys[1]',
      'gateway.yaml:13:65: authenticators[0].cache.store',
    ]);
  });

  test('name files of secrets that are missing, to be watched for the fix', async () => {
    await using folder = await folderWithProbe();
    const text = withRedis('url: rediss://redis, sealingKeys: [{ file: none }]');
    const error: unknown = await folder.load(text).catch((reason) => reason);
    expect(error).toMatchObject({ files: expect.arrayContaining([join(folder.path, 'none')]) });
  });

  test.each([
    {
      place: 'password',
      written: 'password: SECRET',
      fix: secretFix,
    },
    {
      place: 'sentinelPassword',
      written: 'name: a, sentinelPassword: SECRET',
      fix: secretFix,
    },
    { place: 'sealingKeys[1]', written: 'sealingKeys: [{ env: KEY }, SECRET]', fix: secretFix },
    { place: 'sealingKeys', written: 'sealingKeys: SECRET', fix: secretFix },
    {
      place: 'url',
      written: 'url: "rediss://a:SECRET@redis"',
      fix: `take the password out of it, or ${secretFix}`,
    },
  ])('report a secret that is written out: $place', async ({ place, written, fix }) => {
    await using folder = await folderWithProbe();
    const secret = randomBytes(32).toString('base64url');
    const keys = [
      written.replace('SECRET', secret),
      ...(written.includes('url:')
        ? []
        : [place === 'sentinelPassword' ? 'sentinels: ["rediss://a"]' : 'url: rediss://redis']),
      ...(written.includes('sealingKeys') ? [] : ['sealingKeys: [{ env: KEY }]']),
    ];
    const problems = await folder.problems(withRedis(keys.join(', ')), { KEY: newKey() });
    expect(problems).toEqual([
      expect.stringContaining(
        `cache.redis.${place}: is a secret, which must not be in this file: ${fix}`,
      ),
    ]);
    expect(problems.join()).not.toContain(secret);
  });
});

function complaints(keys: unknown): string[] {
  const { error } = sealingKeys.safeParse(keys, wording);
  const problems = issueProblems(error?.issues ?? [], [], []);
  return problems.map((problem) => `${problem.path.join('.')}: ${onOneLine(problem)}`);
}

describe('a sealing key', () => {
  test.each([32, 33, 34, 64])(
    'has %i bytes, as base64 or base64url, with padding or without',
    (length) => {
      const bytes = Buffer.concat([Buffer.from([0xfb, 0xff]), randomBytes(length - 2)]);
      const [base64, base64url] = [bytes.toString('base64'), bytes.toString('base64url')];
      const padding = base64.slice(base64url.length);
      const lines = base64.replaceAll(/.{64}/g, '$&\n');
      for (const text of [
        base64,
        base64url,
        base64.slice(0, base64url.length),
        base64url + padding,
        lines,
      ]) {
        expect(sealingKeys.parse([text])).toEqual([new Uint8Array(bytes)]);
      }
    },
  );

  test.each([
    { name: '31 bytes', written: newKey(31), problem: 'is 31 bytes long, which is too short' },
    { name: 'nothing', written: '', problem: 'is 0 bytes long, which is too short' },
    {
      name: 'another sign',
      written: `${newKey().slice(0, 20)}!${newKey().slice(20)}`,
      problem: 'is not base64',
    },
    { name: 'a space', written: ` ${newKey()}`, problem: 'is not base64' },
    {
      name: 'hexadecimal digits with a colon',
      written: randomBytes(40).toString('hex').replace(/^../, 'ab:'),
      problem: 'is not base64',
    },
    { name: 'two alphabets', written: `+_${'A'.repeat(42)}`, problem: 'is not base64' },
    { name: 'a letter too few', written: 'A'.repeat(45), problem: 'is not base64' },
    { name: 'bits that are left over', written: `${'A'.repeat(42)}B=`, problem: 'is not base64' },
    { name: 'too much padding', written: `${newKey()}=`, problem: 'is not base64' },
    { name: 'a number', written: 7, problem: 'must be a secret' },
    { name: 'a map', written: { env: 'A', file: 'B' }, problem: 'must be a secret' },
  ])('is refused with $name, and not quoted', ({ written, problem }) => {
    const fix = typeof written === 'string' ? otherKeyFix : keyFix;
    expect(complaints([newKey(), written])).toEqual([`1: ${problem}: ${fix}`]);
  });

  test('that is refused or missing is named by its own file or variable, and by no other', async () => {
    await using folder = await folderWithProbe();
    await folder.write('secrets/seal', `${newKey(16)}\n`);
    const keys = 'sealingKeys: [{ file: secrets/seal }, { env: SEAL }, { file: secrets/none }]';
    const problems = await folder.problems(withRedis(`url: rediss://redis, ${keys}`), {
      SEAL: 'no base64',
    });
    expect(problems.map((problem) => problem.slice(problem.indexOf('cache.redis.')))).toEqual([
      `cache.redis.sealingKeys[0]: the file secrets/seal is 16 bytes long, which is too short: ${otherKeyFix}`,
      `cache.redis.sealingKeys[1]: the environment variable SEAL is not base64: ${otherKeyFix}`,
      expect.stringContaining("secrets/none can't be read: there is no such file: create it, or"),
    ]);
    expect(problems.join()).not.toContain('cache-key');
  });

  test.each([{ key: { file: 'secrets/other' } }, { key: { env: 'OTHER' } }])(
    'that is another secret is not to be overwritten: $key',
    async ({ key }) => {
      await using folder = await folderWithProbe();
      await folder.write('secrets/other', newKey(16));
      const keys = `url: rediss://redis, sealingKeys: [${JSON.stringify(key)}], password: ${JSON.stringify(key)}`;
      const origin = 'file' in key ? 'file secrets/other' : 'environment variable OTHER';
      expect(await folder.problems(withRedis(keys), { OTHER: newKey(16) })).toEqual([
        expect.stringContaining(
          `cache.redis.sealingKeys[0]: the ${origin} is 16 bytes long, which is too short: name the file or variable that has the key, or make`,
        ),
      ]);
    },
  );

  test('is there once, in whatever spelling', () => {
    const twice = Buffer.concat([Buffer.from([0xfb]), randomBytes(31)]);
    const keys = [newKey(), twice.toString('base64'), newKey(), twice.toString('base64url')];
    expect(complaints(keys)).toEqual(['3: is the same key as sealingKeys[1]: remove one']);
  });
});

describe('sealing keys', () => {
  const example =
    'write [{ file: secrets/cache-key }], and make a key with: openssl rand -base64 32';

  test('are one to eight', () => {
    const keys = Array.from({ length: 9 }, () => newKey());
    expect(complaints(keys.slice(0, 8))).toEqual([]);
    expect(complaints(keys)).toEqual([`: must have 1 to 8 entries: ${example}`]);
    expect(complaints([])).toEqual([`: must have 1 to 8 entries: ${example}`]);
    expect(complaints(undefined)).toEqual([`: is missing: ${example}`]);
    expect(complaints({ env: 'A' })).toEqual([`: must be a list: ${example}`]);
  });
});
