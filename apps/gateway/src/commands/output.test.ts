import { expect, test } from 'vitest';
import { columns } from './output.ts';

test('columns are aligned, and no line ends in spaces', () => {
  const rows = [
    ['NAME', 'ANSWER', 'REASON'],
    ['a', 'no-opinion', ''],
    ['robots', 'rejected', 'expired'],
  ];
  expect(columns(rows).split('\n')).toEqual([
    'NAME     ANSWER       REASON',
    'a        no-opinion',
    'robots   rejected     expired',
  ]);
});

test('a last cell of several lines stays in its column', () => {
  expect(
    columns([
      ['a', 'x', 'one\n    two'],
      ['b', 'long', 'c'],
    ]).split('\n'),
  ).toEqual(['a   x      one', '               two', 'b   long   c']);
});

test.each(['zoë', 'zoe\u0308', '漢字', 'ｱｱｱ', '한글', '🔑', '👩‍👩‍👧', '한', '＠'])(
  '%s is as wide as on a terminal',
  (name) => {
    const place =
      { zoë: 3, 'zoe\u0308': 3, 漢字: 4, ｱｱｱ: 3, 한글: 4, '🔑': 2, '👩‍👩‍👧': 2, 한: 2, '＠': 2 }[
        name
      ] ?? 0;
    expect(
      columns([
        [name, '|'],
        ['longer', '|'],
      ]).split('\n')[0],
    ).toBe(`${name}${' '.repeat(6 - place)}   |`);
  },
);

test('no rows are no lines', () => {
  expect(columns([])).toBe('');
});
