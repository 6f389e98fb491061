import { describe, expect, test } from 'vitest';
import { lookUpTokenUser } from './look-up.ts';
import type { FileToken } from './token-file.ts';

const now = Date.parse('2031-05-01T00:00:00Z');

function file(name: string, ...records: readonly Partial<FileToken>[]) {
  const tokens = records.map((record, index): readonly [string, FileToken] => [
    `${name} ${index}`,
    { user: { username: 'ci' }, line: index + 1, ...record },
  ]);
  return { file: name, tokens: new Map(tokens) };
}

function look(files: readonly ReturnType<typeof file>[], username = 'ci') {
  const steps: string[] = [];
  return { user: lookUpTokenUser(files, username, now, (step) => steps.push(step)), steps };
}

describe('looking a user up', () => {
  test('gives the groups of all tokens together, and shows those of each', () => {
    const { user, steps } = look([
      file(
        'tokens.yaml',
        { user: { username: 'ci', uid: '7', groups: ['deployers', 'ci'] } },
        { user: { username: 'other', groups: ['admins'] } },
        { user: { username: 'ci', groups: ['readers', 'ci'] }, notBefore: now + 1 },
      ),
      file('tokens.csv', { user: { username: 'ci' } }),
    ]);
    expect(user).toEqual({ username: 'ci', uid: '7', groups: ['ci', 'deployers', 'readers'] });
    expect(steps).toEqual([
      '3 tokens have this name',
      'tokens.yaml, line 1: groups deployers, ci',
      'tokens.yaml, line 3: valid from 2031-05-01T00:00:00.001Z (groups readers, ci)',
      'tokens.csv, line 1: no groups',
    ]);
  });

  test('does not count tokens that have expired', () => {
    const expired = { user: { username: 'ci', groups: ['admins'] }, expiresAt: now };
    const [old, valid] = [file('old.yaml', expired), file('tokens.yaml', { expiresAt: now + 1 })];
    expect(look([old, valid]).user).toEqual({ username: 'ci', groups: [] });
    expect(look([old])).toEqual({
      user: undefined,
      steps: [
        '1 token has this name',
        'old.yaml, line 1: expired at 2031-05-01T00:00:00.000Z, not counted (groups admins)',
      ],
    });
  });

  test('knows no other name', () => {
    for (const name of ['', 'c', 'CI', '__proto__', 'ci\0']) {
      expect(look([file('tokens.yaml', {})], name)).toEqual({
        user: undefined,
        steps: ['0 tokens have this name'],
      });
    }
  });

  test('shows 20 tokens at most', () => {
    const { steps } = look([file('tokens.yaml', ...Array.from({ length: 23 }, () => ({})))]);
    expect(steps).toHaveLength(22);
    expect(steps.at(-1)).toBe('3 more are not shown');
  });
});
