import { describe, expect, test } from 'vitest';
import { UsageError } from '../usage-error.ts';
import { type RequestOptions, readRequest } from './request.ts';

const now = Date.parse('2030-01-01T00:00:00Z');
const least = { user: 'jane', ttl: '8h', by: 'ops' };

const fault = (options: Partial<RequestOptions>) => {
  try {
    readRequest({ ...least, ...options }, now);
    return 'taken';
  } catch (error) {
    return error instanceof UsageError ? error.message : error;
  }
};

test('what is left out stays out', () => {
  expect(readRequest(least, now)).toEqual({
    user: { username: 'jane' },
    expiresAt: new Date('2030-01-01T08:00:00Z'),
    issuedBy: 'ops',
  });
});

test('all that can be said, repeats once', () => {
  const request = readRequest(
    {
      ...least,
      ttl: 'never',
      uid: '7',
      group: ['dev', 'ops', 'dev'],
      extra: ['team=a', 'url=https://x?a=b', 'team=c', '__proto__=d'],
      audience: ['x', 'x'],
      notBefore: '2031-01-01T01:00:00+01:00',
      reason: 'a build',
    },
    now,
  );
  const extra = Object.fromEntries([
    ['team', ['a', 'c']],
    ['url', ['https://x?a=b']],
    ['__proto__', ['d']],
  ]);
  expect(request).toEqual({
    user: { username: 'jane', uid: '7', groups: ['dev', 'ops'], extra },
    audiences: ['x'],
    notBefore: new Date('2031-01-01T00:00:00Z'),
    issuedBy: 'ops',
    reason: 'a build',
  });
  expect(Object.keys(request.user.extra ?? {})).toContain('__proto__');
});

test('who runs the command has it made, unless another is named', () => {
  expect(readRequest({ user: 'jane', ttl: '8h' }, now).issuedBy).not.toBe('');
});

describe('--ttl', () => {
  test.each([
    [undefined, '--ttl is missing: write --ttl 8h, or --ttl never for a token without an end'],
    ['0', '--ttl must be longer than 0: write --ttl 8h, 30d or never'],
    ['0s', '--ttl must be longer than 0: write --ttl 8h, 30d or never'],
    ['8', '--ttl: "8" has no unit: write --ttl 8h, 30d or never'],
    ['-1h', '--ttl: "-1h" is not a duration: write --ttl 8h, 30d or never'],
    ['', '--ttl: "" is not a duration: write --ttl 8h, 30d or never'],
    ['3000000d', '--ttl: "3000000d" is too long: write --ttl never for a token without an end'],
  ])('%s', (ttl, message) => {
    expect(fault({ ttl: ttl as string })).toBe(message);
  });

  test('may reach to the end of the year 9999', () => {
    expect(fault({ ttl: `${Math.floor((Date.parse('9999-12-31T23:59:59Z') - now) / 1000)}s` })).toBe('taken');
  });
});

describe('--not-before', () => {
  test.each([
    ['2030-01-01T08:00:00Z', '--not-before is not before the end of the token, 2030-01-01T08:00:00.000Z'],
    ['2031-01-01T00:00:00Z', '--not-before is not before the end of the token'],
    ['tomorrow', '--not-before must be a time with its zone, such as 2030-01-31T12:00:00Z'],
    ['2030-01-01T01:00:00', '--not-before must be a time with its zone'],
    ['2030-02-31T00:00:00Z', '--not-before must be a time with its zone'],
  ])('%s', (notBefore, message) => {
    expect(fault({ notBefore })).toContain(message);
  });

  test('a moment before the end is taken', () => {
    expect(fault({ notBefore: '2030-01-01T07:59:59Z' })).toBe('taken');
  });
});

test.each(['team', '=a', 'team=', '', '='])('--extra "%s" is none', (pair) => {
  expect(fault({ extra: ['a=b', pair] })).toBe(
    `--extra needs key=value, such as --extra team=build: "${pair}" is none`,
  );
});

test.each<[string, Partial<RequestOptions>]>([
  ['--user', { user: '' }],
  ['--user', { user: ' ' }],
  ['--uid', { uid: '' }],
  ['--group', { group: ['dev', ''] }],
  ['--audience', { audience: [''] }],
  ['--reason', { reason: '' }],
  ['--by', { by: '' }],
])('%s is not taken empty', (option, options) => {
  expect(fault(options)).toBe(`${option} is empty: give it a value, or leave it out`);
});
