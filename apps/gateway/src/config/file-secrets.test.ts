import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fillFile, findSecretTexts } from './file-secrets.ts';
import { isObject, type Path, valueAt } from './problems.ts';
import { fileJsonSchema } from './schema.ts';
import {
  type ConfigFolder,
  configFolder,
  folderWithProbe,
  pluginSource,
} from './testing/config-folder.ts';

function fill(
  folder: ConfigFolder,
  file: Readonly<Record<string, unknown>>,
  environment: Record<string, string> = {},
) {
  return fillFile(file, { environment, baseDirectory: folder.path });
}

const nothing = { problems: [], warnings: [], files: [], secrets: [] };

/** Returns the place of each secret that a schema marks, with `okta` as the name of an entry. */
function findMarks(schema: unknown, path: Path = []): Path[] {
  if (!isObject(schema)) return [];
  const { properties, additionalProperties, items, writeOnly } = schema;
  const keys = Object.entries(isObject(properties) ? properties : {});
  return [
    ...(writeOnly === true && schema.type === 'string' ? [path] : []),
    ...keys.flatMap(([key, inner]) => findMarks(inner, [...path, key])),
    ...findMarks(additionalProperties, [...path, 'okta']),
    ...findMarks(items, [...path, 0]),
  ];
}

/** Makes a file that has one value. */
function fileWith([key = '', ...path]: Path, value: unknown): Readonly<Record<string, unknown>> {
  const child = path.length === 0 ? value : fileWith(path, value);
  return (typeof key === 'number' ? [child] : { [key]: child }) as Record<string, unknown>;
}

const marks = findMarks(fileJsonSchema()).map((path) => ({ path, place: path.join('.') }));

const keyAdvice = '; if there is no key yet, make a key with: openssl rand -base64 32';

describe('a secret that only its mark in the schema makes one', () => {
  test('is known by its mark', () => {
    expect(marks.map(({ place }) => place)).toEqual(
      expect.arrayContaining([
        'cache.redis.password',
        'cache.redis.sealingKeys.0',
        'login.providers.okta.clientSecret',
        'login.secondFactor.redis.sentinelPassword',
      ]),
    );
  });

  test.each(marks)('is filled in, or refused in the file: $place', async ({ path }) => {
    await using folder = await configFolder();
    const secret = randomBytes(16).toString('hex');
    await folder.write('secret', `${secret}\n`);
    for (const reference of [{ env: 'SECRET' }, { file: 'secret' }]) {
      const file = fileWith(path, reference);
      const filled = await fill(folder, file, { SECRET: secret });
      expect(valueAt(filled.value, path)).toBe(secret);
      expect(filled).toMatchObject({ problems: [], secrets: [secret] });
      expect(filled.files).toEqual('file' in reference ? [join(folder.path, 'secret')] : []);
      // The file as it is written is the one that messages quote.
      expect(valueAt(file, path)).toEqual(reference);
    }
    const { problems, secrets } = await fill(folder, fileWith(path, secret));
    expect(problems).toEqual([
      {
        path,
        message: 'is a secret, which must not be in this file',
        fix: `write { file: PATH } or { env: NAME } instead; to make the file: (umask 077; cat > PATH)${path.includes('sealingKeys') ? keyAdvice : ''}`,
      },
    ]);
    expect(secrets).toEqual([secret]);
  });
});

test('in the map of a Redis, each value may be a reference', async () => {
  await using folder = await configFolder();
  const redis = { url: { env: 'URL' }, sentinels: [{ env: 'URL' }], database: 1 };
  const filledRedis = { url: 'redis://a', sentinels: ['redis://a'], database: 1 };
  const file = { cache: { redis }, login: { secondFactor: { redis, required: 'all' } } };
  const { value } = await fill(folder, file, { URL: 'redis://a' });
  expect(value).toEqual({
    cache: { redis: filledRedis },
    login: { secondFactor: { redis: filledRedis, required: 'all' } },
  });
});

test('what is neither marked nor in a marked map stays as it is', async () => {
  await using folder = await configFolder();
  const file = {
    authenticators: [
      { name: 'a', use: 'ldap', options: { url: 'ldaps://a:b@c', bind: { env: 'A' } } },
    ],
    audit: { output: { file: 'audit.log' } },
    login: {
      publicUrl: { env: 'A' },
      clusters: { prod: { caFile: { file: 'ca' } } },
      providers: { okta: { clientId: { env: 'A' } } },
    },
    tracing: { endpoint: 'https://a:b@c' },
  };
  expect(await fill(folder, file)).toEqual({ value: file, maps: [], ...nothing });
});

test.each([
  { file: { login: undefined } },
  { file: { cache: { redis: { env: 'A' } } } },
  { file: { login: null, cache: [] } },
  { file: { login: {}, cache: { redis: null } } },
  { file: { login: { providers: [], secondFactor: { redis: 'x' } } } },
  { file: { login: { providers: { okta: null } } } },
  { file: { login: { providers: { okta: 'x' } } } },
])('what is of another kind is left to the schema: $file', async ({ file }) => {
  await using folder = await configFolder();
  expect(await fill(folder, file)).toMatchObject({ value: file, ...nothing });
});

describe('texts that are secrets', () => {
  const secret = { type: 'string', writeOnly: true };
  const schema = {
    type: 'object',
    properties: {
      password: { anyOf: [secret, { $ref: '#/$defs/reference' }] },
      url: { type: 'string' },
      keys: { type: 'array', items: secret },
      admin: { $ref: '#/$defs/admin' },
    },
    $defs: {
      admin: { type: 'object', properties: { password: secret, name: { type: 'string' } } },
      reference: { type: 'object', properties: { env: { type: 'string' } } },
    },
  };

  test.each<{ name: string; value: object; expected: unknown[] }>([
    {
      name: 'of the schema',
      value: { password: 'a', keys: ['b'] },
      expected: [['password'], ['keys', 0]],
    },
    {
      name: 'through a reference',
      value: { admin: { password: 'a', name: 'b' } },
      expected: [['admin', 'password']],
    },
    { name: 'URLs with a password', value: { url: 'redis://a:b@c/0' }, expected: [['url']] },
    {
      name: 'once, also under a key that is not known',
      value: { ulr: 'redis://a:b@c/0' },
      expected: [['ulr']],
    },
    { name: 'no other URLs', value: { url: 'redis://c/0', other: 'redis://a@c' }, expected: [] },
    {
      name: 'no references, and nothing that is empty',
      value: { password: { env: 'A' }, admin: { password: '' } },
      expected: [],
    },
  ])('$name', ({ value, expected }) => {
    expect(findSecretTexts(schema, value, [])).toEqual(expected);
  });

  test('are found with their whole path', () => {
    expect(findSecretTexts(schema, { password: 'a' }, ['options'])).toEqual([
      ['options', 'password'],
    ]);
  });
});

/** The problems of a config with this client secret. */
async function problemsWith(clientSecret: unknown, more: object = {}) {
  await using folder = await folderWithProbe(pluginSource('z.strictObject({})'));
  await folder.write('issuer.js', pluginSource('z.strictObject({})', 'createTokenIssuer() {}'));
  await folder.write('secrets/empty', '');
  const config = {
    authenticators: [
      { name: 'oidc', use: './probe.js' },
      { name: 'sessions', use: './issuer.js' },
    ],
    login: {
      publicUrl: 'https://login.example.com',
      sessions: 'sessions',
      browser: true,
      providers: { okta: { authenticator: 'oidc', clientId: 'a', clientSecret, ...more } },
    },
    cache: {
      redis: { url: 'redis://127.0.0.1:6379', sealingKeys: [{ env: 'KEY' }] },
    },
  };
  const key = randomBytes(32).toString('base64');
  return await folder.problems(JSON.stringify(config), { KEY: key, SECRET: 'hunter2' });
}

test.each<{ where: string; written: unknown; message: string }>([
  {
    where: 'in the file',
    written: 'hunter2',
    message:
      'is a secret, which must not be in this file: write { file: PATH } or { env: NAME } instead; to make the file: (umask 077; cat > PATH)',
  },
  {
    where: 'in a file that is not there',
    written: { file: 'secrets/none' },
    message: "secrets/none can't be read: there is no such file: create it, or fix the path",
  },
  {
    where: 'in an empty file',
    written: { file: 'secrets/empty' },
    message: 'the file secrets/empty is empty: write the secret into it',
  },
  {
    where: 'in a variable that is not set',
    written: { env: 'NONE' },
    message: 'the environment variable NONE is not set: set it where the gateway is started',
  },
])('a client secret $where is the only problem, and is not shown', async ({ written, message }) => {
  const problems = await problemsWith(written);
  expect(problems).toEqual([
    expect.stringMatching(/^gateway\.yaml:1:\d+: login\.providers\.okta\.clientSecret: /),
  ]);
  expect(problems[0]).toContain(message);
  expect(problems[0]).not.toContain('hunter2');
});

test.each([{ clientSecret: { env: 'SECRET' } }, { clientSecret: 'hunter2' }])(
  'a problem that would quote a secret does not: $clientSecret',
  async ({ clientSecret }) => {
    const problems = await problemsWith(clientSecret, { ttl: 'hunter2' });
    expect(problems.filter((problem) => problem.includes('.ttl: '))).toEqual([
      expect.stringMatching(
        /login\.providers\.okta\.ttl: is refused; the reason is hidden because it contains a secret$/,
      ),
    ]);
  },
);
