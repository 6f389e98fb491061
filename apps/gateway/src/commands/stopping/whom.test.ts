import { expect, test } from 'vitest';
import { nameSubject, readSubject, readWhom, type WhomOptions } from './whom.ts';

test.each<[WhomOptions, object]>([
  [{ user: 'corp:jane' }, { kind: 'user', name: 'corp:jane' }],
  [{ group: 'ops' }, { kind: 'group', name: 'ops' }],
  [{ token: true }, { kind: 'token' }],
  [{ digest: 'ABCDEF01' }, { kind: 'digest', digits: 'abcdef01' }],
  [{ all: true }, { kind: 'all' }],
])('%j is one', (options, whom) => {
  expect(readWhom(options, 'stop', ['user'])).toEqual(whom);
});

test.each<[WhomOptions, string]>([
  [{}, 'say whom to block by one of these: --user NAME, --group NAME, --token (which is read from standard input)'],
  [{ user: 'jane', group: 'ops' }, 'say whom to block by one of these'],
  [{ user: 'jane', token: true }, 'say whom to block by one of these'],
  [{ token: true, all: true }, 'say whom to block by one of these'],
  [{ digest: 'abcdef01', all: true }, 'say whom to block by one of these'],
  [{ digest: 'abcdef0' }, '--digest has 7 digits: give at least the first 8 of 64'],
  [{ user: '' }, '--user is empty'],
  [{ group: ' ' }, '--group is empty'],
])('%j is wrong usage', (options, message) => {
  expect(() => readWhom(options, 'block', ['user', 'group', 'token'])).toThrow(message);
});

test('everybody has no name', async () => {
  expect(await readSubject({ kind: 'all' })).toEqual({ kind: 'all', name: '' });
  expect(await readSubject({ kind: 'group', name: 'ops' })).toEqual({ kind: 'group', name: 'ops' });
});

test('is named so that no name can play with the terminal, and a token by its first digits', () => {
  expect(nameSubject({ kind: 'user', name: 'jane\u001b[2J' })).toBe('user jane\\u{1b}[2J');
  expect(nameSubject({ kind: 'token', name: 'abcdef0123456789'.repeat(4) })).toBe('token abcdef012345');
  expect(nameSubject({ kind: 'all', name: '' })).toBe('everybody');
});
