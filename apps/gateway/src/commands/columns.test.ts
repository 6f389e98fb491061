import { expect, test } from 'vitest';
import { columns } from './columns.ts';

test('columns stand one under the other, and no line ends in spaces', () => {
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

test('a cell of several lines stays in its column', () => {
  expect(
    columns([
      ['a', 'one\n    two', 'x'],
      ['b', 'c', 'd'],
    ]).split('\n'),
  ).toEqual(['a   one       x', '        two', 'b   c         d']);
});

test.each(['zoë', 'zoe\u0308', '漢字', 'ｱｱｱ', '한글', '🔑', '👩‍👩‍👧', '한', '＠'])(
  '%s takes the place that it takes on a terminal',
  (name) => {
    const place = { zoë: 3, 'zoe\u0308': 3, 漢字: 4, ｱｱｱ: 3, 한글: 4, '🔑': 2, '👩‍👩‍👧': 2, 한: 2, '＠': 2 }[name] ?? 0;
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
