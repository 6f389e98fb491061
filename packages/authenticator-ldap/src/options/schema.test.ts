import { describe, expect, test } from 'vitest';
import { optionsSchema } from './schema.ts';
import { complaints, settled, writtenOptions } from './testing/written-options.ts';

describe('options', () => {
  test('have defaults for all but servers and users', () => {
    expect(settled(writtenOptions())).toMatchObject({
      tokenPrefix: '',
      order: 'listed',
      serverTimeout: 1_000,
      circuit: { failures: 3, probeInterval: 2_000 },
      pool: { max: 10, idleTimeout: 300_000, maxAge: 1_800_000 },
      maxUserBinds: 32,
    });
    expect(settled(writtenOptions())).not.toHaveProperty('bind');
    expect(settled(writtenOptions())).not.toHaveProperty('srv');
  });

  test('are taken as written', () => {
    const bind = { dn: 'cn=sallyport,dc=x', password: ' p:ä\n\n' };
    const pool = { max: 2, idleTimeout: '1m30s', maxAge: '7d' };
    const keys = {
      order: 'spread',
      serverTimeout: '50ms',
      serverCircuit: { failures: 1, probeInterval: '10m' },
      maxUserBinds: 1,
    };
    expect(settled(writtenOptions({ ...keys, bind, pool, tokenPrefix: 'ldap:' }))).toMatchObject({
      tokenPrefix: 'ldap:',
      order: 'spread',
      serverTimeout: 50,
      circuit: { failures: 1, probeInterval: 600_000 },
      bind,
      pool: { max: 2, idleTimeout: 90_000, maxAge: 604_800_000 },
      maxUserBinds: 1,
    });
  });

  test.each(['sallyport@example.com', 'EXAMPLE\\sallyport'])(
    'take %s for a service account, as Active Directory does',
    (dn) => {
      expect(complaints(writtenOptions({ bind: { dn, password: 'x' } }))).toEqual([]);
    },
  );

  test.each<[Record<string, unknown>, string]>([
    [{ serverTimeout: '49ms' }, 'serverTimeout: "49ms" is too short: write at least 50ms'],
    [{ serverTimeout: '30001ms' }, 'serverTimeout: "30001ms" is too long: write at most 30s'],
    [{ order: 'random' }, 'order: must be listed or spread'],
    [
      { serverCircuit: { failures: 0 } },
      'serverCircuit.failures: must be a whole number from 1 to 100',
    ],
    [
      { serverCircuit: { probeInterval: '99ms' } },
      'serverCircuit.probeInterval: "99ms" is too short: write at least 100ms',
    ],
    [
      { serverCircuit: 3 },
      'serverCircuit: must be keys and values: write { failures: 3, probeInterval: 2s }',
    ],
    [{ pool: { max: 0 } }, 'pool.max: must be a whole number from 1 to 1000'],
    [{ pool: { min: 1 } }, 'pool: has an unknown key: min; known here: max, idleTimeout, maxAge'],
    [{ pool: { maxAge: '8d' } }, 'pool.maxAge: "8d" is too long: write at most 7d'],
    [{ pool: { idleTimeout: '0' } }, 'pool.idleTimeout: "0" is too short: write at least 1s'],
    [{ maxUserBinds: 1001 }, 'maxUserBinds: must be a whole number from 1 to 1000'],
    [
      { tokenPrefix: 'ldap ' },
      'tokenPrefix: must be visible ASCII, at most 64 characters: write ldap: in quotes',
    ],
    [
      { tokenPrefix: 'a'.repeat(65) },
      'tokenPrefix: must be visible ASCII, at most 64 characters: write ldap: in quotes',
    ],
    [
      { bind: null },
      'bind: must be keys and values: write { dn: "cn=sallyport,ou=services,dc=example,dc=com", password: { file: secrets/ldap-password } }',
    ],
    [
      { bind: { dn: '', password: 'x' } },
      'bind.dn: must not be empty: write cn=sallyport,ou=services,dc=example,dc=com',
    ],
    [
      { bind: { dn: 'cn=a,b', password: 'x' } },
      'bind.dn: "cn=a,b" is not a DN: write cn=sallyport,ou=services,dc=example,dc=com',
    ],
    [
      { bind: { dn: 'a' } },
      'bind.password: must be a secret: write { file: secrets/ldap-password } or { env: LDAP_PASSWORD }',
    ],
    [
      { bind: { dn: 'a', password: '' } },
      'bind.password: must not be empty (servers would bind as anonymous): write { file: secrets/ldap-password } or { env: LDAP_PASSWORD }',
    ],
    [
      { bind: { dn: 'a', password: 'secret\0' } },
      'bind.password: must not contain NUL or unpaired surrogates: write { file: secrets/ldap-password } or { env: LDAP_PASSWORD }',
    ],
  ])('%j are refused', (keys, complaint) => {
    expect(complaints(writtenOptions(keys))).toEqual([complaint]);
  });

  test('that are no keys and values, or have an unknown key, are refused with what to write', () => {
    expect(complaints('ldap')).toEqual([
      ': must be keys and values: write { urls: [ldaps://ldap.example.com], user: { … } }',
    ]);
    expect(complaints(writtenOptions({ url: 'ldaps://a' }))[0]).toMatch(
      /^: has an unknown key: url; known here: urls, srv, /,
    );
  });

  test('report the problems of all single values together', () => {
    expect(
      complaints(
        writtenOptions({ order: 'x', urls: ['y'], user: { base: 'z' }, pool: { max: 0 } }),
      ).map((problem) => problem.split(':')[0]),
    ).toEqual(['urls.0', 'order', 'user.base', 'pool.max']);
  });
});

describe('the JSON Schema of the options', () => {
  const schema = optionsSchema['~standard'].jsonSchema.input({ target: 'draft-2020-12' });

  interface Described {
    readonly description?: string;
    readonly type?: unknown;
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
        ...[
          'urls',
          'srv.nameServers',
          'bind.password',
          'user.attributes.extra',
          'groups.maxDepth',
          'pool.max',
        ],
        ...['tokenPrefix'],
      ]),
    );
    expect(
      [...all].filter(([, { description }]) => !description?.endsWith('.')).map(([key]) => key),
    ).toEqual([]);
  });

  test.each([
    { key: 'order', expected: { default: 'listed', enum: ['listed', 'spread'] } },
    {
      key: 'serverCircuit.failures',
      expected: { default: 3, type: 'integer', minimum: 1, maximum: 100 },
    },
    {
      key: 'user.attributes.extra',
      expected: { type: 'object', additionalProperties: { type: 'string' } },
    },
    {
      key: 'urls',
      expected: { type: 'array', items: { type: 'string' }, minItems: 1, maxItems: 16 },
    },
    {
      key: 'user.base',
      expected: { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }] },
    },
    { key: 'bind', expected: { required: ['dn', 'password'], additionalProperties: false } },
  ])('completes $key', ({ key, expected }) => {
    expect(all.get(key)).toMatchObject(expected);
  });

  test('says what must be there, and closes every section against unknown keys', () => {
    expect(schema).toMatchObject({
      type: 'object',
      required: ['user'],
      anyOf: [{ required: ['urls'] }, { required: ['srv'] }],
    });
    expect(all.get('user')).toMatchObject({
      anyOf: [{ required: ['base'] }, { required: ['dnTemplate'] }],
    });
    const sections = [['', schema as Described] as const, ...all].filter(
      ([, { properties }]) => properties !== undefined,
    );
    expect(sections.filter(([, section]) => section.additionalProperties !== false)).toEqual([]);
  });
});
