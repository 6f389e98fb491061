import { describe, expect, test } from 'vitest';
import { checkRecord, fieldNames } from './record.ts';

const known =
  'username, uid, groups, extra, audiences, notBefore, expiresAt, issuedAt, issuedBy, reason, revokedAt, revokedBy, revokedReason, session, idle';
const zoned = 'must be a date and time with its zone (RFC 3339), such as 2031-05-01T00:00:00Z';

const problemOf = (record: unknown) => {
  const read = checkRecord(record);
  return 'problem' in read ? read.problem : 'none';
};

/** A record with one field changed. */
const changed = (field: string, value: unknown) => ({ username: 'robot', [field]: value });

describe('a record', () => {
  test('is read with all its fields, with times in milliseconds', () => {
    const record = {
      username: 'robot',
      uid: '7',
      groups: ['dev', 'ops'],
      extra: { 'example.com/team': ['a', 'b'], empty: [] },
      audiences: ['https://api.example.com'],
      notBefore: '2026-01-01T00:00:00Z',
      expiresAt: '2026-06-01T02:00:00.5+02:00',
      issuedAt: '2025-12-31T23:59:59.999Z',
      issuedBy: 'admin',
      reason: 'nightly build',
      revokedAt: '2026-05-01T00:00:00Z',
      revokedBy: 'security',
      revokedReason: 'leaked',
      session: 'text of the gateway',
      idle: 7_200_000,
    };
    expect(checkRecord(record)).toEqual({
      record: {
        ...record,
        notBefore: Date.UTC(2026, 0, 1),
        expiresAt: Date.UTC(2026, 5, 1, 0, 0, 0, 500),
        issuedAt: Date.UTC(2025, 11, 31, 23, 59, 59, 999),
        revokedAt: Date.UTC(2026, 4, 1),
      },
    });
    expect(Object.keys(record)).toEqual(fieldNames);
  });

  test('needs only a username', () => {
    expect(checkRecord({ username: 'robot' })).toEqual({ record: { username: 'robot' } });
    expect(checkRecord(changed('groups', []))).toEqual({
      record: { username: 'robot', groups: [] },
    });
    expect(checkRecord(changed('extra', {}))).toEqual({ record: { username: 'robot', extra: {} } });
  });

  test.each([
    { value: 'a' },
    { value: 7 },
    { value: true },
    { value: null },
    { value: undefined },
    { value: [] },
    { value: [{ username: 'a' }] },
  ])('is no $value', ({ value }) => {
    expect(problemOf(value)).toBe('must be an object with username');
  });

  test.each(['username', 'uid', 'issuedBy', 'reason', 'revokedBy', 'revokedReason'])(
    'has text as %s',
    (field) => {
      const beside = field.startsWith('revoked') ? { revokedAt: '2026-01-01T00:00:00Z' } : {};
      const problem = (value: unknown) => problemOf({ ...beside, ...changed(field, value) });
      expect(problem('ok')).toBe('none');
      expect(problem('')).toBe(`${field} must not be empty`);
      for (const value of [7, null, true, ['a'], { a: 'b' }])
        expect(problem(value)).toBe(`${field} must be a string`);
      for (const value of ['a\uFFFDb', 'a\uD800'])
        expect(problem(value)).toBe(`${field} must be UTF-8`);
    },
  );

  test('without a username has that problem', () => {
    expect(problemOf({ uid: '7' })).toBe('username is missing');
    expect(problemOf({})).toBe('username is missing');
  });

  test.each(['groups', 'audiences'])('has a list of texts as %s', (field) => {
    const problem = (value: unknown) => problemOf(changed(field, value));
    expect(problem(['a', 'b'])).toBe('none');
    for (const value of ['a', 7, null, { a: ['b'] }])
      expect(problem(value)).toBe(`${field} must be a list`);
    for (const value of [7, null, ['b']])
      expect(problem(['a', value])).toBe(`${field} must be a string`);
    expect(problem(['a', ''])).toBe(`${field} must not be empty`);
    expect(problem(['a\uFFFD'])).toBe(`${field} must be UTF-8`);
  });

  test('has at least one audience, or no list of audiences', () => {
    const message = 'audiences must not be empty: leave it out for a token without audiences';
    expect(problemOf(changed('audiences', []))).toBe(message);
  });

  test.each<[unknown, string]>([
    [{ a: ['b'] }, 'none'],
    [{ 'x-a': ['b'] }, 'none'],
    ['a', 'extra must map lowercase keys to lists'],
    [['a'], 'extra must map lowercase keys to lists'],
    [null, 'extra must map lowercase keys to lists'],
    [{ a: 'b' }, 'extra must be a list'],
    [{ a: [7] }, 'extra must be a string'],
    [{ a: [''] }, 'extra must not be empty'],
    [{ a: ['\uFFFD'] }, 'extra must be UTF-8'],
    [{ Team: ['b'] }, 'extra must have lowercase keys'],
    [{ '': ['b'] }, 'extra must not be empty'],
    [{ 'a\uFFFD': ['b'] }, 'extra must be UTF-8'],
    [JSON.parse('{"__proto__":["b"]}'), 'extra must not have the key __proto__'],
    [JSON.parse('{"a":["b"],"__proto__":{"c":["d"]}}'), 'extra must not have the key __proto__'],
  ])('with extra %j has this problem: %s', (extra, problem) => {
    expect(problemOf(changed('extra', extra))).toBe(problem);
  });

  test.each(['notBefore', 'expiresAt', 'issuedAt', 'revokedAt'])(
    'has a moment with its zone as %s',
    (field) => {
      const problem = (value: unknown) => problemOf(changed(field, value));
      const good = [
        '2031-05-01T00:00:00Z',
        '2031-05-01T00:00:00.123456789Z',
        '2031-05-01T00:00:00-11:30',
        '2028-02-29T00:00:00Z',
      ];
      for (const value of good) expect(problem(value)).toBe('none');
      const bad = [
        ...[
          '',
          '2031-05-01',
          '2031-05-01T00:00:00',
          '2031-05-01 00:00:00Z',
          ' 2031-05-01T00:00:00Z',
        ],
        ...[
          '2031-05-01T00:00:00Z\n',
          '2031-05-01T00:00:00 Z',
          '2031-05-01T24:00:00Z',
          '2031-05-01T00:00:60Z',
        ],
        ...[
          '2031-02-29T00:00:00Z',
          '2031-13-01T00:00:00Z',
          '2031-05-01T00:00:00+2:00',
          '+012031-05-01T00:00:00Z',
        ],
        ...['Thu, 01 May 2031 00:00:00 GMT', '1935366400', 'never', 1_935_366_400, null, true, {}],
      ];
      for (const value of bad)
        expect([value, problem(value)]).toEqual([value, `${field} ${zoned}`]);
    },
  );

  test('must begin before it ends', () => {
    const problem = (notBefore: string, expiresAt: string) =>
      problemOf({ username: 'a', notBefore, expiresAt });
    expect(problem('2026-01-01T00:00:00Z', '2026-01-01T00:00:00.001Z')).toBe('none');
    for (const notBefore of ['2026-01-01T00:00:00Z', '2026-01-01T00:00:00.001Z']) {
      expect(problem(notBefore, '2026-01-01T01:00:00+01:00')).toBe(
        'notBefore must be before expiresAt',
      );
    }
  });

  test.each(['revokedBy', 'revokedReason'])('with %s says when', (field) => {
    expect(problemOf(changed(field, 'x'))).toBe(
      'revokedAt is required with revokedBy and revokedReason',
    );
  });
});

describe('unknown fields', () => {
  test.each([
    ...[
      'expires',
      'ExpiresAt',
      'expiresat',
      'user',
      'name',
      'xteam',
      'X-team',
      'constructor',
      'toString',
    ],
    ...['hasOwnProperty'],
  ])('are a problem that names them: %s', (name) => {
    expect(problemOf(changed(name, 'x'))).toBe(
      `has an unknown field ${name}: a record has ${known}; fields of other systems begin with x-`,
    );
  });

  test.each([
    '',
    ' ',
    'a b',
    '7',
    'expiresAt\n',
    'é',
    'a'.repeat(25),
    '<script>',
    '__proto__',
    '-x',
  ])('are a problem without their name, where that may be anything: %j', (name) => {
    const record = JSON.parse(`{"username":"a",${JSON.stringify(name)}:"x"}`);
    const problem = problemOf(record);
    expect(problem).toBe(
      `has an unknown field: a record has ${known}; fields of other systems begin with x-`,
    );
  });

  test('of which one can be quoted are reported by that one', () => {
    expect(problemOf({ username: 'a', 'to ken': 'x', expires: 'x' })).toContain(
      'unknown field expires:',
    );
  });

  test('are a problem with any value, also as a replacement of the prototype', () => {
    for (const text of [
      '{"username":"a","__proto__":{"uid":"7"}}',
      '{"username":"a","__proto__":null}',
    ]) {
      expect(problemOf(JSON.parse(text))).toContain('has an unknown field:');
    }
    expect(problemOf(JSON.parse('{"__proto__":{"username":"admin"}}'))).not.toBe('none');
  });

  test('are ignored when they begin with x-', () => {
    const foreign = {
      'x-': 1,
      'x-team': null,
      'x-__proto__': {},
      'x-\uFFFD': '\uFFFD',
      'x-expiresAt': 'never',
    };
    expect(checkRecord({ username: 'robot', ...foreign })).toEqual({
      record: { username: 'robot' },
    });
  });
});
