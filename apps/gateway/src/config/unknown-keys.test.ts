import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { formatPath } from './problems.ts';
import { fileJsonSchema } from './schema.ts';
import type { JsonSchema } from './schema-parts.ts';
import { unknownKeys, withoutEffects } from './unknown-keys.ts';

function keysOf(schema: z.ZodType, value: unknown): string[] {
  return keysOfJson(z.toJSONSchema(schema, { io: 'input' }), value);
}

function keysOfJson(schema: JsonSchema, value: unknown): string[] {
  return unknownKeys(schema, value, ['options']).map(
    (problem) => `${formatPath(problem.path)}: ${problem.fix}`,
  );
}

const server = z.object({ listen: z.string(), timeout: z.string().optional() });

/** Finds all objects of a schema that name keys. */
function objectsIn(schema: object): JsonSchema[] {
  const inner = Object.values(schema).flatMap((value) =>
    typeof value === 'object' && value ? objectsIn(value) : [],
  );
  return 'type' in schema && schema.type === 'object' && 'properties' in schema
    ? [{ ...schema }, ...inner]
    : inner;
}

// Only a config that its schema refuses is searched for unknown keys.
test('the schema of gateway.yaml refuses unknown keys by itself, in each of its objects', () => {
  const objects = objectsIn(fileJsonSchema());
  expect(objects.length).toBeGreaterThan(20);
  expect(objects.filter(({ additionalProperties }) => additionalProperties !== false)).toEqual([]);
});

describe('keys that the schema does not name are reported', () => {
  test('with the nearest known one', () => {
    expect(keysOf(server, { lisen: 'x' })).toEqual(['options.lisen: did you mean listen?']);
  });
  test.each(['ca', 'cert', 'key'])('with the file that is meant by %s', (name) => {
    const schema = z.object({ caFile: z.string(), certFile: z.string(), keyFile: z.string() });
    expect(keysOf(schema, { [name]: 'x' })).toEqual([`options.${name}: did you mean ${name}File?`]);
  });
  const redis = 'url sentinels name username password database caFile commandTimeout tokenPrefix';
  test.each([
    ['listen tls', 'port', 'write listen: 127.0.0.1:8443, or listen: :8443 for all interfaces'],
    ['listen statusPage', 'tls', 'remove it: this port has no TLS. Keep listen on 127.0.0.1'],
    ['maxFailures window', 'maxAttempts', 'did you mean maxFailures?'],
    ['maxFailures window', 'duration', 'did you mean window?'],
    ['server log', 'logging', 'write log: { level: info }'],
    [redis, 'db', 'did you mean database?'],
    [redis, 'host', 'write url: rediss://redis.example.com:6379'],
    [
      redis,
      'ssl',
      'write the url with rediss://: the files caFile, certFile and keyFile are next to it',
    ],
    [redis, 'timeout_seconds', 'write commandTimeout: 1s'],
    [redis, 'user', 'did you mean username?'],
    ['dn password', 'bind-pw', 'write password: { file: secrets/ldap-password }'],
    ['urls user', 'host', 'write urls: [ldaps://ldap.example.com]'],
    [
      'urls user',
      'searchBase',
      'write user: { base: "ou=people,dc=example,dc=com", filter: "(uid={username})" }',
    ],
    ['base filter', 'searchBase', 'did you mean base?'],
    ['url audiences', 'client_id', 'write audiences: [kubernetes]'],
    ['title issuer clientId', 'url', 'did you mean issuer?'],
    ['username uid email extra', 'groups', 'write groups: { attribute: memberOf } next to user'],
    ['level', 'output', 'remove it: the log goes to standard error'],
    ['level', 'host', 'remove it, or write one of: level'],
  ])('in a place with %s, the meaning of %s in other programs', (keys, word, fix) => {
    const shape = Object.fromEntries(keys.split(' ').map((key) => [key, z.string()]));
    expect(keysOf(z.object(shape), { [word]: 'x' })).toEqual([`options.${word}: ${fix}`]);
  });
  test('with all known ones when none is near', () => {
    expect(keysOf(server, { audit: 'x' })).toEqual([
      'options.audit: remove it, or write one of: listen, timeout',
    ]);
  });
  test('when the schema names none at all', () => {
    expect(keysOf(z.object({}), { a: 1 })).toEqual(['options.a: remove it: no key is known here']);
  });
  test('deep in lists, tuples and maps', () => {
    const schema = z.object({
      list: z.array(server),
      pair: z.tuple([z.string(), server]),
      free: z.record(z.string(), server),
    });
    const wrong = { listen: 'x', timeuot: '' };
    expect(
      keysOf(schema, { list: [{ listen: '' }, wrong], pair: ['', wrong], free: { any: wrong } }),
    ).toEqual([
      'options.list[1].timeuot: did you mean timeout?',
      'options.pair[1].timeuot: did you mean timeout?',
      'options.free.any.timeuot: did you mean timeout?',
    ]);
  });
  test('in the branch of a union that its discriminator chooses', () => {
    const schema = z.discriminatedUnion('kind', [
      z.object({ kind: z.literal('bind'), dn: z.string() }),
      z.object({ kind: z.literal('anonymous'), guest: z.string() }),
    ]);
    expect(keysOf(schema, { kind: 'bind', dn: '', guest: '' })).toEqual([
      'options.guest: remove it, or write one of: kind, dn',
    ]);
    expect(keysOf(schema, { kind: 'typo', dn: '', guest: '', x: '' })).toEqual([
      'options.x: remove it, or write one of: kind, dn, guest',
    ]);
  });
  test('in the map of a union of a text and a map', () => {
    expect(keysOf(z.union([z.string(), server]), { lisen: '' })).toEqual([
      'options.lisen: did you mean listen?',
    ]);
  });
  test('in both halves of an intersection', () => {
    const schema = z.intersection(server, z.object({ other: z.string() }));
    expect(keysOf(schema, { listen: '', other: '', x: '' })).toEqual([
      'options.x: remove it, or write one of: listen, timeout, other',
    ]);
  });
  test('through references, also in circles', () => {
    const tree: JsonSchema = {
      $ref: '#/$defs/a~1b',
      $defs: {
        'a/b': { type: 'object', properties: { next: { $ref: '#/$defs/a~1b' } } },
        loop: { $ref: '#/$defs/loop' },
      },
    };
    expect(keysOfJson(tree, { next: { next: { nxt: 1 } } })).toEqual([
      'options.next.next.nxt: did you mean next?',
    ]);
    expect(keysOfJson({ $ref: '#/$defs/loop', $defs: tree.$defs }, { any: 1 })).toEqual([]);
  });
});

describe('keys that may be there are not reported:', () => {
  test('every key of a map of free keys', () => {
    expect(
      keysOf(z.object({ extra: z.record(z.string(), z.array(z.string())) }), {
        extra: { any: ['x'] },
      }),
    ).toEqual([]);
    expect(keysOf(z.looseObject({ a: z.string() }), { a: '', b: { c: 1 } })).toEqual([]);
    expect(keysOfJson({ type: 'object', patternProperties: { '^x-': {} } }, { 'x-a': 1 })).toEqual(
      [],
    );
  });
  test('every key where the schema says nothing', () => {
    expect(keysOf(z.unknown(), { any: { key: 1 } })).toEqual([]);
    expect(keysOfJson({ type: 'object' }, { any: 1 })).toEqual([]);
    expect(keysOfJson({ type: 'object', properties: { a: true } }, { a: { any: 1 } })).toEqual([]);
  });
});

test('values of another kind are left to the validator', () => {
  expect(keysOf(server, 'text')).toEqual([]);
  expect(keysOf(server, null)).toEqual([]);
  expect(keysOf(server, [{ a: 1 }])).toEqual([]);
});

test('what goes away with the spelling of a key is left out, even if only its fix names the key', () => {
  const path = ['options', 'recognizes'];
  const unknownKey = {
    path: [...path, 'prefix'],
    message: 'unknown key',
    meant: [...path, 'prefixes'],
  };
  const effect = { path, message: 'must say what it is', fix: 'write { prefixes: [a] }' };
  const cause = { path: ['options', 'url'], message: 'is missing', fix: 'write url: b' };
  expect(withoutEffects([unknownKey, effect, cause], [unknownKey], () => false)).toEqual([
    unknownKey,
    cause,
  ]);
});
