import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyGlob, glob } from './glob.ts';

/** The textbook table: whether the first i characters of the pattern match the first j of the text. */
function oracle(pattern: string, text: string): boolean {
  let row = Array.from({ length: text.length + 1 }, (_, j) => j === 0);
  for (const character of pattern.split('')) {
    const above = row;
    row = [character === '*' && above[0] === true];
    for (let j = 1; j <= text.length; j++) {
      row[j] =
        character === '*'
          ? above[j] === true || row[j - 1] === true
          : above[j - 1] === true && text[j - 1] === character;
    }
  }
  return row[text.length] === true;
}

describe('a glob', () => {
  test.each([
    ['k8s-*', 'k8s-admins', true],
    ['k8s-*', 'k8s-', true],
    ['k8s-*', 'K8s-admins', false],
    ['k8s-*', 'xk8s-admins', false],
    ['*', '', true],
    ['', '', true],
    ['', 'a', false],
    ['system:*', 'system:node:a/b', true],
    ['a*a', 'a', false],
    ['a*a', 'aa', true],
    ['*ab*ab', 'abxab', true],
    ['*ab*ab', 'xab', false],
    ['a?c', 'abc', false],
    ['a?c', 'a?c', true],
    ['[ab].+', 'a', false],
    ['k8s-*', 'k8s-\n', true],
  ])('%j on %j says %j', (pattern, text, expected) => {
    expect(glob(pattern)(text)).toBe(expected);
  });

  test('says what the textbook table says', () => {
    const letters = (characters: string) =>
      fc.string({ unit: fc.constantFrom(...characters), maxLength: 12 });
    fc.assert(
      fc.property(letters('ab*'), letters('ab'), (pattern, text) => {
        expect(glob(pattern)(text)).toBe(oracle(pattern, text));
      }),
      { numRuns: 2000 },
    );
  });

  test('of a list, one that matches is enough, and none allows nothing', () => {
    expect(anyGlob(['a', 'b*'])('bc')).toBe(true);
    expect(anyGlob(['a', 'b*'])('c')).toBe(false);
    expect(anyGlob([])('')).toBe(false);
  });
});
