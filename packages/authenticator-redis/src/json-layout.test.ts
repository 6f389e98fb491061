import { describe, expect, test } from 'vitest';
import { changeJson, jsonLayout, writeJson } from './layouts.ts';

const { read } = jsonLayout;

describe('a record as JSON', () => {
  test('is none where Redis has no value', () => {
    expect(read(null)).toBeUndefined();
  });

  test.each([
    { reply: undefined },
    { reply: 7 },
    { reply: true },
    { reply: ['a'] },
    { reply: { username: 'a' } },
    { reply: Buffer.from('{"username":"a"}') },
  ])('is no $reply, whatever Redis may answer', ({ reply }) => {
    expect(read(reply)).toEqual({ problem: 'is not a string' });
  });

  test.each([
    '',
    ' ',
    'robot',
    "{'username':'robot'}",
    '{"username":"robot"',
    '{"username":"robot",}',
    '{"username":"robot"}{}',
    '{"username":"robot"} x',
    '\uFEFF{"username":"robot"}',
    '{"username":"ro\nbot"}',
    '{username:"robot"}',
  ])('is not %j, and the problem quotes nothing', (text) => {
    expect(read(text)).toEqual({ problem: 'is not JSON' });
  });

  test.each(['"robot"', '7', 'true', 'null', '[]', '[{"username":"robot"}]'])(
    'is an object, not %s',
    (text) => {
      expect(read(text)).toEqual({ problem: 'must be an object with username' });
    },
  );

  test('may have spaces around it, and escaped characters', () => {
    expect(read(' \n{ "username" : "r\\u00f6bot \\ud83e\\udd16" }\t')).toEqual({
      record: { username: 'röbot 🤖' },
    });
  });

  test('with a duplicate key has the later value, as everywhere in Kubernetes', () => {
    expect(read('{"username":"a","uid":"1","username":"b"}')).toEqual({
      record: { username: 'b', uid: '1' },
    });
    expect(read('{"username":"a","username":7}')).toEqual({ problem: 'username must be a string' });
    const twice =
      '{"username":"a","expiresAt":"2020-01-01T00:00:00Z","expiresAt":"2021-01-01T00:00:00Z"}';
    expect(read(twice)).toEqual({ record: { username: 'a', expiresAt: Date.UTC(2021) } });
  });

  test('has no half of a surrogate pair', () => {
    expect(read('{"username":"a\\ud800"}')).toEqual({ problem: 'username must be UTF-8' });
  });

  test('is UTF-8, also in fields of other systems, since a change rewrites all of it', () => {
    expect(read('{"username":"a","x-note":"\uFFFD"}')).toEqual({ problem: 'is not UTF-8' });
  });

  test('has 65536 characters at most', () => {
    const padded = (length: number) => '{"username":"a"}'.padEnd(length);
    expect(read(padded(65_536))).toEqual({ record: { username: 'a' } });
    expect(read(padded(65_537))).toEqual({
      problem: 'is too big: at most 65536 characters are read',
    });
    expect(read('x'.repeat(100_000))).toEqual({
      problem: 'is too big: at most 65536 characters are read',
    });
  });
});

describe('a record that is written as JSON', () => {
  test('has its fields in a fixed order, and times in UTC', () => {
    const expiresAt = Date.UTC(2031, 4, 1, 0, 0, 0, 7);
    expect(
      writeJson({ expiresAt, groups: ['b', 'a'], username: 'robot', uid: undefined, extra: {} }),
    ).toBe(
      '{"username":"robot","groups":["b","a"],"extra":{},"expiresAt":"2031-05-01T00:00:00.007Z"}',
    );
  });
});

describe('a change of JSON', () => {
  const changes = { revokedAt: Date.UTC(2026, 0, 1), revokedBy: 'security "team"' };
  const added = '"revokedAt":"2026-01-01T00:00:00.000Z","revokedBy":"security \\"team\\""}';

  test.each([
    ['{"username":"a"}', '{"username":"a",'],
    [' { "username" : "a" } \n', ' { "username" : "a" ,'],
    [
      '{"x-id":12345678901234567890,"username":"a","x-rate":1.0}',
      '{"x-id":12345678901234567890,"username":"a","x-rate":1.0,',
    ],
    [
      '{"username":"}","x-nested":{"a":{"__proto__":[{}]}}}',
      '{"username":"}","x-nested":{"a":{"__proto__":[{}]}},',
    ],
    [
      '{"x-b":"\\u00e9","x-a":1e400,"username":"a","x-b":2}',
      '{"x-b":"\\u00e9","x-a":1e400,"username":"a","x-b":2,',
    ],
  ])('of %s leaves each byte of it', (text, unchanged) => {
    expect(changeJson(text, changes)).toBe(unchanged + added);
  });
});
