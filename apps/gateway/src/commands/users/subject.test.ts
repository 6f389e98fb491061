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

test.each<SubjectOptions>([
  {},
  { user: 'jane', group: 'ops' },
  { user: 'jane', token: true },
  { token: true, all: true },
  { digest: 'abcdef01', all: true },
  { jti: 'a', sid: 'b' },
])('%j is wrong usage', (options) => {
  expect(() => subjectKind(options, 'block', ['user', 'group', 'token'])).toThrow(
    'it is not clear what to block: write exactly one of: --user NAME, --group NAME, --token (which is read from standard input)',
  );
});

test('no name can play tricks on the terminal, and a token is named by its first digits', () => {
  expect(nameSubject({ kind: 'user', name: 'jane\u001b[2J' })).toBe('user jane\\u{1b}[2J');
  expect(nameSubject({ kind: 'token', name: 'abcdef0123456789'.repeat(4) })).toBe(
    'token abcdef012345',
  );
  expect(nameSubject({ kind: 'all', name: '' })).toBe('all users');
});
