import { testRefusals } from '@sallyport/test-servers/written-options';
import { describe, expect, test } from 'vitest';
import { complaints, settled, writtenOptions } from './testing/written-options.ts';

const tokenOf = (keys: Record<string, unknown>) => settled(writtenOptions(keys)).token;
const visible = 'tokenPrefix: must be visible ASCII, 1 to 64 characters: write robot_';
const example = 'write one such as [A-Za-z0-9]{40}';
const notRe2 =
  /^tokenPattern: is not a regular expression of RE2: .*: write one such as \[A-Za-z0-9\]\{40\}; look-around and back-references are not supported$/;

describe('the shape of tokens', () => {
  test('is ours unless options say more', () => {
    expect(tokenOf({})).toEqual({});
  });

  test('is a prefix, a pattern, or both', () => {
    expect(tokenOf({ tokenPrefix: 'robot_' })).toEqual({ prefix: 'robot_' });
    expect(tokenOf({ tokenPrefix: '!~' })).toEqual({ prefix: '!~' });
    expect(tokenOf({ tokenPrefix: 'a'.repeat(64) }).prefix).toHaveLength(64);
    const both = tokenOf({ tokenPrefix: 'robot_', tokenPattern: 'robot_[a-z]+' });
    expect(both.prefix).toBe('robot_');
    expect(both.pattern?.matches('robot_a')).toBe(true);
  });

  test.each(['[A-Za-z0-9]{40}', '(?i)robot-\\d+', '\\pL+', '(?P<name>a)b', 'a|b', '.+'])(
    'knows the pattern %s',
    (tokenPattern) => {
      expect(complaints(writtenOptions({ tokenPattern }))).toEqual([]);
    },
  );

  testRefusals(
    (keys: Record<string, unknown>) => complaints(writtenOptions(keys)),
    [
      ...['', 'a'.repeat(65), 'a b', 'é', 'a\n', 7, null].map(
        (tokenPrefix) => [{ tokenPrefix }, visible] as const,
      ),
      [{ tokenPattern: '' }, 'tokenPattern: must not be empty: write [A-Za-z0-9]{40}'],
      [{ tokenPattern: 7 }, 'tokenPattern: must be a string: write [A-Za-z0-9]{40}'],
      [{ tokenPattern: null }, 'tokenPattern: is empty: write [A-Za-z0-9]{40}'],
      [
        { tokenPattern: '/^tok_[a-z0-9]{32}$/' },
        'tokenPattern: is between slashes, which are a part of the pattern here: write tok_[a-z0-9]{32}',
      ],
      [
        { tokenPattern: 'robot_*' },
        'tokenPattern: is a glob: as a regular expression, its * repeats only the character before it: write robot_.*, or tokenPrefix: robot_ in place of it',
      ],
      [
        { tokenPattern: 'a\nb' },
        'tokenPattern: must be a single-line string: write [A-Za-z0-9]{40}',
      ],
      [
        { tokenPattern: '.*' },
        `tokenPattern: matches an empty string, so it might match anything: ${example}`,
      ],
      [
        { tokenPattern: 'a?' },
        `tokenPattern: matches an empty string, so it might match anything: ${example}`,
      ],
      ...['(', '[z-a]', '(?=a)b', '(a)\\1', 'a{1001}'].map(
        (tokenPattern) => [{ tokenPattern }, notRe2] as const,
      ),
    ],
  );
});
