import { describe, expect, test } from 'vitest';
import { hashLayout, writeHash } from './layouts.ts';

/** Redis returns a hash as alternating fields and values. */
const read = (fields: object) => hashLayout.read(Object.entries(fields).flat());
const withField = (name: string, value: string) => read({ username: 'robot', [name]: value });

describe('a record as a hash', () => {
  test('is none where Redis has no value, which it returns as a hash without fields', () => {
    expect(read({})).toBeUndefined();
  });

  test.each([
    { reply: undefined },
    { reply: null },
    { reply: { username: 'a' } },
    { reply: 'username' },
    { reply: ['username'] },
    { reply: ['username', 'a', 'uid'] },
  ])('is no $reply, whatever Redis may answer', ({ reply }) => {
    expect(hashLayout.read(reply)).toEqual({ problem: 'is not a hash' });
  });

  test.each([
    { reply: ['username', 7] },
    { reply: ['username', ['a']] },
    { reply: [['username'], null] },
  ])('is not $reply, whatever Redis may answer', ({ reply }) => {
    expect(hashLayout.read(reply)).not.toHaveProperty('record');
  });

  test.each([
    ['dev', ['dev']],
    ['dev,ops', ['dev', 'ops']],
    [' dev , ops\t', ['dev', 'ops']],
    ['team a,team b', ['team a', 'team b']],
    ['["dev","ops"]', ['dev', 'ops']],
    ['[ "dev, ops" , " dev" ]', ['dev, ops', ' dev']],
    ['[]', []],
  ])('has lists with commas, or as JSON: %j', (text, groups) => {
    expect(withField('groups', text)).toEqual({ record: { username: 'robot', groups } });
    if (groups.length === 0) return;
    expect(withField('audiences', text)).toEqual({
      record: { username: 'robot', audiences: groups },
    });
  });

  test.each([
    ['', 'groups must not be empty'],
    ['dev,,ops', 'groups must not be empty'],
    ['[dev]', 'groups is not JSON'],
    ['["dev"', 'groups is not JSON'],
    ['["dev",7]', 'groups must be a string'],
  ])('with the groups %j has a problem that quotes nothing', (text, problem) => {
    expect(withField('groups', text)).toEqual({ problem });
  });

  test.each([
    { text: '{"team":["a"]}', expected: { record: { username: 'robot', extra: { team: ['a'] } } } },
    { text: '{}', expected: { record: { username: 'robot', extra: {} } } },
    { text: '', expected: { problem: 'extra is not JSON' } },
    { text: 'team=a', expected: { problem: 'extra is not JSON' } },
    { text: '{"team":["a"]', expected: { problem: 'extra is not JSON' } },
    { text: '["a"]', expected: { problem: 'extra must map lowercase keys to lists' } },
    { text: '{"__proto__":["a"]}', expected: { problem: 'extra must not have the key __proto__' } },
  ])('has extra as JSON: $text', ({ text, expected }) => {
    expect(withField('extra', text)).toEqual(expected);
  });

  test('has all other values unchanged, also those that look like JSON', () => {
    for (const username of ['[robot]', '{}', 'true', '7', 'a,b', ' a ', '"a"']) {
      expect(read({ username })).toEqual({ record: { username } });
    }
    expect(withField('uid', '["7"]')).toEqual({ record: { username: 'robot', uid: '["7"]' } });
  });

  test('has no other fields, nor those that every object inherits', () => {
    for (const name of ['expires', 'constructor', 'toString']) {
      expect(withField(name, 'x')).toEqual({
        problem: expect.stringContaining(`has an unknown field ${name}:`),
      });
    }
    // ioredis returns it as a field of its own.
    const reply = Object.defineProperty({ username: 'a' }, '__proto__', {
      value: 'b',
      enumerable: true,
    });
    expect(read(reply)).toEqual({ problem: expect.stringContaining('has an unknown field:') });
  });

  test('ignores fields of other systems, with any bytes', () => {
    expect(withField('x-state', '\uFFFD\uFFFD')).toEqual({ record: { username: 'robot' } });
    expect(withField('x-groups', '[')).toEqual({ record: { username: 'robot' } });
  });

  test('with only fields of other systems is invalid, and not missing', () => {
    expect(read({ 'x-state': '1' })).toEqual({ problem: 'username is missing' });
  });

  test('has 65536 characters at most, names and all', () => {
    const padded = (length: number) =>
      read({ username: 'a', 'x-': 'x'.repeat(length - 'username'.length - 3) });
    expect(padded(65_536)).toEqual({ record: { username: 'a' } });
    expect(padded(65_537)).toEqual({ problem: 'is too big: at most 65536 characters are read' });
    // The script returns its length in place of its fields.
    expect(hashLayout.read(200_000)).toEqual({
      problem: 'is too big: at most 65536 characters are read',
    });
  });
});

test('a record is written as alternating fields and values, with lists as JSON', () => {
  const record = {
    extra: { a: ['b'] },
    username: 'a,b',
    groups: ['x,y'],
    revokedAt: Date.UTC(2026, 0, 1),
    uid: undefined,
  };
  expect(writeHash(record)).toEqual([
    ...['username', 'a,b'],
    ...['groups', '["x,y"]'],
    ...['extra', '{"a":["b"]}'],
    ...['revokedAt', '2026-01-01T00:00:00.000Z'],
  ]);
});
