import { expect, test } from 'vitest';
import { nameSubject, readSubject, requirePrefix, type SubjectOptions, subjectKind } from './subject.ts';

test.each<[SubjectOptions, string, object]>([
  [{ user: 'corp:jane' }, 'user', { kind: 'user', name: 'corp:jane' }],
  [{ group: 'ops' }, 'group', { kind: 'group', name: 'ops' }],
  [{ digest: 'abcdef01' }, 'digest', { kind: 'token', name: 'abcdef01' }],
  [{ jti: 'a b' }, 'jti', { kind: 'jti', name: 'a b' }],
  [{ sid: 'sha256:0' }, 'sid', { kind: 'sid', name: 'sha256:0' }],
  [{ all: true }, 'all', { kind: 'all', name: '' }],
])('%j names one subject', async (options, kind, subject) => {
  expect(subjectKind(options, 'stop', ['user'])).toBe(kind);
  expect(await readSubject(options, subjectKind(options, 'stop', ['user']))).toEqual(subject);
});

test.each<SubjectOptions>([
  {},
  { user: 'jane', group: 'ops' },
  { user: 'jane', token: true },
  { token: true, all: true },
  { digest: 'abcdef01', all: true },
  { jti: 'a', sid: 'b' },
])('%j is wrong usage', (options) => {
  expect(() => subjectKind(options, 'block', ['user', 'group', 'token'])).toThrow(
    'name what to block with exactly one of: --user NAME, --group NAME, --token (which is read from standard input)',
  );
});

test('no name can play tricks on the terminal, and a token is named by its first digits', () => {
  expect(nameSubject({ kind: 'user', name: 'jane\u001b[2J' })).toBe('user jane\\u{1b}[2J');
  expect(nameSubject({ kind: 'token', name: 'abcdef0123456789'.repeat(4) })).toBe('token abcdef012345');
  expect(nameSubject({ kind: 'all', name: '' })).toBe('all users');
});

const authenticator = (user: string, group: string) => ({
  username: { prefix: user },
  groups: { prefix: group, max: 10 },
});
const corp = authenticator('corp:', 'team:');
const robots = authenticator('robot:', 'team:');
const breakGlass = authenticator('', '');

test.each([
  ['a name with a prefix', 'corp:alice', [corp, robots, breakGlass]],
  ['any name where no authenticator has a prefix', 'alice', [breakGlass]],
  ['any name without an authenticator', 'alice', []],
])('%s passes', (_name, name, authenticators) => {
  expect(() => requirePrefix('user', name, authenticators)).not.toThrow();
});

test('without a prefix, the names that may be meant are listed', () => {
  expect(() => requirePrefix('user', 'alice', [corp, robots])).toThrow(
    /^nothing was done: --user alice begins with no prefix .*or add --exact.*:\n {2}--user corp:alice\n {2}--user robot:alice$/,
  );
});

test('an authenticator without a prefix does not disable the check: its name needs --exact', () => {
  expect(() => requirePrefix('user', 'alice', [breakGlass, corp])).toThrow(
    /Write one of these:\n {2}--user corp:alice\n {2}--user alice --exact$/,
  );
  expect(() => requirePrefix('user', 'alice', [breakGlass, corp], true)).not.toThrow();
});

test('a prefix of users is none of groups; two authenticators with one prefix are one candidate', () => {
  expect(() => requirePrefix('group', 'corp:alice', [corp, robots])).toThrow(/:\n {2}--group team:corp:alice$/);
});

test('the prefix alone is no name', () => {
  expect(() => requirePrefix('user', 'corp:', [corp])).toThrow('--user is the prefix alone: write --user corp:NAME');
});

test('candidates are quoted for a shell', () => {
  expect(() => requirePrefix('user', "o'neil $x", [corp])).toThrow(String.raw`--user 'corp:o'\''neil $x'`);
});
