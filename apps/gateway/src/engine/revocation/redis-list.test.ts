import { startRedis } from '@sallyport/test-servers/redis';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createSealingKey, seal } from '../sealing/seal.ts';
import type { Entry } from './list.ts';
import { applyChange, fieldName, openEntry, parseFieldName, sealEntry } from './redis-list.ts';
import { openRedis } from './testing/replicas.ts';

const [key, other] = [
  createSealingKey(Buffer.alloc(32, 'A')),
  createSealingKey(Buffer.alloc(32, 'B')),
];

const entries: fc.Arbitrary<Entry> = fc.record({
  id: fc.string({ unit: fc.constantFrom(...'abcXYZ019-_'), minLength: 1, maxLength: 20 }),
  action: fc.constantFrom('block' as const, 'unblock' as const, 'revoke' as const),
  kind: fc.constantFrom<Entry['kind'][]>('user', 'group', 'token', 'jti', 'sid', 'all'),
  name: fc.string({ unit: 'grapheme' }),
  revision: fc.nat(),
  at: fc.nat(),
  until: fc.nat(),
  keptUntil: fc.nat(),
  by: fc.string(),
});

test('an entry is read from the field that it was sealed for, by the key that it was sealed with', () => {
  fc.assert(
    fc.property(entries, (entry) => {
      const field = fieldName(entry, key);
      expect(parseFieldName(field)).toEqual({
        keptUntil: entry.keptUntil,
        id: entry.id,
        tag: key.tag,
      });
      const sealed = sealEntry(entry, key);
      expect(openEntry(field, sealed, key)).toEqual(entry);
      expect(openEntry(field, sealed, other)).toBeUndefined();
      // No one can make it last longer, or give it another name, by writing it elsewhere.
      expect(
        openEntry(fieldName({ ...entry, keptUntil: entry.keptUntil + 1 }, key), sealed, key),
      ).toBeUndefined();
      expect(
        openEntry(fieldName({ ...entry, id: `${entry.id}x` }, key), sealed, key),
      ).toBeUndefined();
    }),
  );
});

test('any other value of a field is no entry', () => {
  const entry: Entry = {
    id: 'a',
    action: 'block',
    kind: 'user',
    name: 'jane',
    revision: 1,
    at: 1,
    until: 1,
    keptUntil: 1,
    by: 'root',
  };
  const field = fieldName(entry, key);
  for (const value of ['', 'x', sealEntry(entry, key).slice(4)])
    expect(openEntry(field, value, key)).toBeUndefined();
  const asWritten = (value: unknown) =>
    seal(key.derive('revocation entries'), field, Buffer.from(JSON.stringify(value))).toString(
      'base64',
    );
  expect(openEntry(field, asWritten(entry), key)).toEqual(entry);
  // A later version might write these: what this one does not know must not be taken for something else.
  for (const unknown of [
    null,
    7,
    [],
    { ...entry, action: 'pardon' },
    { ...entry, kind: 'pod' },
    { ...entry, at: '1' },
  ]) {
    expect(openEntry(field, asWritten(unknown), key)).toBeUndefined();
  }
});

test.each([
  '',
  'a',
  '1.a',
  `1.a.${key.tag}x`,
  `x.a.${key.tag}`,
  `1..${key.tag}`,
  `-1.a.${key.tag}`,
  `1.a.b.${key.tag}`,
])('a field named %j is not ours', (field) => {
  expect(parseFieldName(field)).toBeUndefined();
});

test.each(['HSET', 'SET', 'HDEL'])(
  'an ACL that refuses %s loses no entry, and lists no new one',
  async (command) => {
    await using server = await startRedis();
    await using opened = await openRedis(server.port);
    const change = (revision: string, remove: string[], add: [string, string][]) =>
      applyChange(opened.redis, { revision }, { remove, add: new Map(add) }, { isWhole: true });
    const written = await change('', [], [['superseded', 'block']]);
    await server.client().call('ACL', 'SETUSER', 'default', `-${command}`);
    const refused = change(written?.revision ?? '', ['superseded'], [['new', 'block']]);
    await expect(refused).rejects.toMatchObject({ kind: 'permission' });
    const [list, revision] = ['sallyport:{revocations}:list', 'sallyport:{revocations}:revision'];
    expect(await server.client().hgetall(list)).toEqual({ superseded: 'block' });
    expect(await server.client().get(revision)).toBe(written?.revision);
  },
);
