import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sliceTokens } from './tokens-file.ts';
import { nodeAt, parseYamlDocument, type Slice } from './yaml-document.ts';

describe('a tokens file', () => {
  test('is cut before items, and each slice knows its line', () => {
    const text = '# a\ntokens: # b\n  # c\n  - x: 1\n    y: 2\n  - x: 3\n\n    # d\n  - x: 5\n';
    expect(Array.from(sliceTokens(text, 5) ?? [])).toEqual([
      { text: 'tokens:\n  - x: 1\n    y: 2\n', line: 3 },
      { text: 'tokens:\n  - x: 3\n\n    # d\n', line: 5 },
      { text: 'tokens:\n  - x: 5\n', line: 8 },
    ]);
  });

  test.each([
    { name: 'it is small', text: 'tokens:\n- a\n- b\n', length: 20 },
    {
      name: 'millions of empty lines come first',
      text: `${'\n'.repeat(5e6)}tokens:\n- a\n`,
      length: 20,
    },
    { name: 'another key comes first', text: 'other: 1\ntokens:\n- aaaa\n- bbbb\n', length: 3 },
    { name: 'another key follows', text: 'tokens:\n- aaaa\n- bbbb\nother: 1\n', length: 3 },
    { name: 'a line is left of the items', text: 'tokens:\n  - aaaa\n  - bbbb\n - c\n', length: 3 },
    { name: 'the list is in flow style', text: 'tokens: [\n- aaaa,\n- bbbb]\n', length: 3 },
    { name: 'it is a second document', text: '---\ntokens:\n- aaaa\n---\n- bbbb\n', length: 3 },
    { name: 'it has line ends that are only CR', text: 'tokens:\n- aaaa\r- bbbb\n', length: 3 },
    { name: 'it is indented with tabs', text: 'tokens:\n- aaaa\n\t- bbbb\n', length: 3 },
  ])('is not cut when $name', ({ text, length }) => {
    expect(sliceTokens(text, length)).toBeUndefined();
  });

  test('has the same meaning in slices as in one, if all slices can be read', () => {
    const line = fc
      .tuple(
        fc.constantFrom('', '  ', '   ', '    ', '      '),
        fc.constantFrom('- ', '- ', '- ', '', '-', '# '),
        fc.constantFrom(
          'a: 1',
          'b: "x',
          'x"',
          "c: 'y",
          "y'",
          'd: |',
          'e: >2',
          '[p,',
          'q]',
          '',
          'plain text',
          '&r z',
          '*r',
        ),
        fc.constantFrom('', ' # note', ': ', '\u2028', '"'),
      )
      .map((parts) => parts.join(''));
    let compared = 0;
    fc.assert(
      fc.property(
        fc.array(line, { minLength: 1, maxLength: 12 }),
        fc.constantFrom('', '  '),
        (lines, indentation) => {
          const text = ['tokens:', `${indentation}- a: 0`, ...lines, ''].join('\n');
          const slices = Array.from(sliceTokens(text, 1) ?? [], read);
          if (slices.length === 0 || slices.includes(undefined)) return;
          compared++;
          const whole = read({ text, line: 1 });
          expect(slices.flatMap((slice) => slice?.entries)).toEqual(whole?.entries);
          expect(slices.flatMap((slice) => slice?.places)).toEqual(whole?.places);
        },
      ),
      { numRuns: 5000 },
    );
    expect(compared).toBeGreaterThan(50);
  });
});

function read(slice: Slice): { entries: unknown; places: unknown } | undefined {
  try {
    const { value, root } = parseYamlDocument(slice);
    const items = nodeAt(root, ['tokens']).children;
    // An item without a value has no place of its own.
    return {
      entries: (value as { tokens: unknown }).tokens,
      places: items.filter(({ text }) => text !== '').map(({ place }) => place),
    };
  } catch {
    return undefined;
  }
}
