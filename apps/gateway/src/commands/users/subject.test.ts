import { expect, test } from 'vitest';
import { createTestContext } from '../../testing/command-context.ts';
import { nameSubject, readSubject, type SubjectOptions, subjectKind } from './subject.ts';

test.each<{ options: SubjectOptions; kind: string; subject: object }>([
  { options: { user: 'corp:jane' }, kind: 'user', subject: { kind: 'user', name: 'corp:jane' } },
  { options: { group: 'ops' }, kind: 'group', subject: { kind: 'group', name: 'ops' } },
  { options: { digest: 'abcdef01' }, kind: 'digest', subject: { kind: 'token', name: 'abcdef01' } },
  { options: { jti: 'a b' }, kind: 'jti', subject: { kind: 'jti', name: 'a b' } },
  { options: { sid: 'sha256:0' }, kind: 'sid', subject: { kind: 'sid', name: 'sha256:0' } },
  { options: { all: true }, kind: 'all', subject: { kind: 'all', name: '' } },
])('$options names one subject', async ({ options, kind, subject }) => {
  expect(subjectKind(options, 'stop', ['user'])).toBe(kind);
  expect(
    await readSubject(createTestContext(), options, subjectKind(options, 'stop', ['user'])),
  ).toEqual(subject);
});

test.each<{ options: SubjectOptions; problem: string }>([
  { options: {}, problem: 'it is not clear what to block' },
  ...[
    { options: { user: 'jane', group: 'ops' }, flags: '--user and --group' },
    { options: { user: 'jane', token: true }, flags: '--user and --token' },
    { options: { token: true, all: true }, flags: '--token and --all' },
    { options: { digest: 'abcdef01', all: true }, flags: '--digest and --all' },
    { options: { jti: 'a', sid: 'b' }, flags: '--jti and --sid' },
  ].map(({ options, flags }) => ({
    options,
    problem: `${flags} are given, and block takes one of them`,
  })),
])('$options is wrong usage', ({ options, problem }) => {
  expect(() => subjectKind(options, 'block', ['user', 'group', 'token'])).toThrow(
    `${problem}: write exactly one of: --user NAME, --group NAME, --token (which is read from standard input)`,
  );
});

test('no name can play tricks on the terminal, and a token is named by its first digits', () => {
  expect(nameSubject({ kind: 'user', name: 'jane\u001b[2J' })).toBe('user jane\\u{1b}[2J');
  expect(nameSubject({ kind: 'token', name: 'abcdef0123456789'.repeat(4) })).toBe(
    'token abcdef012345',
  );
  expect(nameSubject({ kind: 'all', name: '' })).toBe('all users');
});
