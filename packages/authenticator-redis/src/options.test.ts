import { testRefusals } from '@sallyport/test-servers/written-options';
import { describe, expect, test } from 'vitest';
import { optionsSchema } from './options.ts';
import { complaints, settled, writtenOptions } from './testing/written-options.ts';

const login = { username: 'gateway', password: 'of the gateway' };

describe('options', () => {
  test('have defaults for everything but the servers', () => {
    const connection = {
      servers: {
        kind: 'server',
        secure: true,
        database: 0,
        address: { host: 'redis.example.com', port: 6379 },
      },
      tls: { minVersion: 'TLSv1.2' },
      commandTimeout: 1_000,
    };
    expect(settled(writtenOptions())).toEqual({
      connection,
      admin: connection,
      keyPrefix: 'sallyport:token:',
      layout: 'json',
      token: {},
      unknown: 'no-opinion',
    });
  });

  test('are taken as written', () => {
    const keys = {
      ...login,
      database: 9_999,
      caFile: 'tls/ca.crt',
      certFile: 'tls/client.crt',
      keyFile: 'tls/client.key',
      serverName: 'redis.example.net',
      minVersion: 'TLSv1.3',
      commandTimeout: '50ms',
      keyPrefix: 'a*b[c]?\\d: é',
      layout: 'hash',
      unknown: 'rejected',
      trackLastUse: '5m',
    };
    expect(settled(writtenOptions(keys))).toMatchObject({
      connection: {
        ...login,
        servers: { database: 9_999 },
        tls: {
          caFile: 'tls/ca.crt',
          certFile: 'tls/client.crt',
          keyFile: 'tls/client.key',
          serverName: 'redis.example.net',
          minVersion: 'TLSv1.3',
        },
        commandTimeout: 50,
      },
      keyPrefix: 'a*b[c]?\\d: é',
      layout: 'hash',
      unknown: 'rejected',
      trackLastUse: 300_000,
    });
    const odd = { username: ' ö', password: ' p:ä\n\n' };
    expect(settled(writtenOptions(odd)).connection).toMatchObject(odd);
    expect(
      settled(writtenOptions({ keyPrefix: 'a'.repeat(128), trackLastUse: '7d' })).trackLastUse,
    ).toBe(604_800_000);
  });

  // The options of the connection are tested in its own package.
  testRefusals(
    (keys: Record<string, unknown>) => complaints(writtenOptions(keys)),
    [
      [{ commandTimeout: '49ms' }, 'commandTimeout: "49ms" is too short: write at least 50ms'],
      [{ commandTimeout: '31s' }, 'commandTimeout: "31s" is too long: write at most 30s'],
      [{ commandTimeout: 1000 }, 'commandTimeout: "1000" has no unit: write 3s, 500ms, 2m or 1h'],
      [{ commandTimeout: null }, 'commandTimeout: must be a duration: write 3s, 500ms, 2m or 1h'],
      [{ trackLastUse: '9s' }, 'trackLastUse: "9s" is too short: write at least 10s'],
      [{ trackLastUse: '8d' }, 'trackLastUse: "8d" is too long: write at most 7d'],
      [{ trackLastUse: true }, 'trackLastUse: must be a duration: write 3s, 500ms, 2m or 1h'],
      [{ keyPrefix: '' }, 'keyPrefix: must not be empty: write sallyport:token:'],
      [{ keyPrefix: null }, 'keyPrefix: is empty: write sallyport:token:'],
      [{ keyPrefix: 'a\n' }, 'keyPrefix: must be a single-line string: write sallyport:token:'],
      [{ keyPrefix: 'a\uD800' }, 'keyPrefix: must be a single-line string: write sallyport:token:'],
      [
        { keyPrefix: 'a'.repeat(129) },
        'keyPrefix: is too long: write at most 128 characters, such as sallyport:token:',
      ],
      [{ layout: 'xml' }, 'layout: must be json or hash'],
      [{ layout: null }, 'layout: must be json or hash'],
      [{ unknown: 'yes' }, 'unknown: must be no-opinion or rejected'],
      [
        { serverName: '192.0.2.1' },
        'serverName: "192.0.2.1" is not a host name: write redis.example.com',
      ],
      [
        { keyFile: 'a.key' },
        'certFile: must name the certificate of keyFile: write certFile: tls/redis-client.crt',
      ],
      [
        { username: 'gateway' },
        'password: is required with username: write { file: secrets/redis } or { env: REDIS_PASSWORD }',
      ],
    ],
  );

  test('that are no mapping, or have an unknown key, are refused with the fix', () => {
    for (const written of [null, 'redis://:not-a-real-one@redis', [], 7]) {
      expect(complaints(written)).toEqual([
        ': must be keys and values: write { url: rediss://redis.example.com:6379 }',
      ]);
    }
    expect(complaints(writtenOptions({ host: 'redis' }))[0]).toMatch(
      /^: has an unknown key: host; known here: url, sentinels, name, .*, admin$/,
    );
  });

  test('report all problems of single values together', () => {
    const problems = complaints({
      url: 'redis',
      layout: 'x',
      keyPrefix: '',
      commandTimeout: '1',
      tokenPattern: '(',
    });
    expect(problems.map((problem) => problem.split(':')[0])).toEqual([
      'url',
      'commandTimeout',
      'keyPrefix',
      'layout',
      'tokenPattern',
    ]);
  });
});

describe('the JSON Schema of the options', () => {
  const schema = optionsSchema['~standard'].jsonSchema.input({ target: 'draft-2020-12' });

  interface Described {
    readonly description?: string;
    readonly properties?: Readonly<Record<string, Described>>;
    readonly [keyword: string]: unknown;
  }

  const keys = (described: Described, path = ''): [string, Described][] =>
    Object.entries(described.properties ?? {}).flatMap(([key, inner]) => [
      [path + key, inner],
      ...keys(inner, `${path}${key}.`),
    ]);
  const all = new Map(keys(schema as Described));

  test('describes every key', () => {
    expect([...all.keys()]).toEqual(
      expect.arrayContaining([
        'url',
        'sentinelPassword',
        'cluster',
        'caFile',
        'tokenPattern',
        'admin.url',
        'trackLastUse',
      ]),
    );
    expect(
      [...all].filter(([, { description }]) => !description?.endsWith('.')).map(([key]) => key),
    ).toEqual([]);
  });

  test.each([
    { key: 'url', expected: { type: 'string', pattern: expect.any(String) } },
    {
      key: 'cluster',
      expected: {
        type: 'array',
        items: { type: 'string', pattern: expect.any(String) },
        minItems: 1,
        maxItems: 64,
      },
    },
    { key: 'database', expected: { default: 0, type: 'integer', minimum: 0, maximum: 9_999 } },
    { key: 'insecure', expected: { type: 'boolean' } },
    { key: 'minVersion', expected: { default: 'TLSv1.2', enum: ['TLSv1.2', 'TLSv1.3'] } },
    {
      key: 'commandTimeout',
      expected: { default: '1s', type: 'string', pattern: expect.any(String) },
    },
    {
      key: 'keyPrefix',
      expected: { default: 'sallyport:token:', type: 'string', minLength: 1, maxLength: 128 },
    },
    { key: 'layout', expected: { default: 'json', enum: ['json', 'hash'] } },
    { key: 'tokenPrefix', expected: { type: 'string', pattern: '^[!-~]{1,64}$' } },
    { key: 'unknown', expected: { default: 'no-opinion', enum: ['no-opinion', 'rejected'] } },
    { key: 'trackLastUse', expected: { type: 'string', pattern: expect.any(String) } },
    { key: 'admin', expected: { additionalProperties: false } },
  ])('completes $key', ({ key, expected }) => {
    expect(all.get(key)).toMatchObject(expected);
  });

  test('closes every section against unknown keys', () => {
    const sections = [['', schema as Described] as const, ...all].filter(
      ([, { properties }]) => properties !== undefined,
    );
    expect(sections).toHaveLength(2);
    expect(sections.filter(([, section]) => section.additionalProperties !== false)).toEqual([]);
  });
});
