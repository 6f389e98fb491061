import { expect, test } from 'vitest';
import { columns, shortDigest, withProgress } from './output.ts';

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

test('a cell of several lines stays in its column', () => {
  expect(
    columns([
      ['a', 'one\n    two', 'x'],
      ['b', 'c', 'd'],
    ]).split('\n'),
  ).toEqual(['a   one       x', '        two', 'b   c         d']);
});

test.each(['zoë', 'zoe\u0308', '漢字', 'ｱｱｱ', '한글', '🔑', '👩‍👩‍👧', '한', '＠'])(
  '%s is as wide as on a terminal',
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

async function progress(isTTY: boolean, count: number): Promise<string> {
  const written: unknown[] = [];
  async function* items() {
    for (let one = 0; one < count; one++) yield one;
  }
  const stream = { isTTY, write: (text: string | Uint8Array) => written.push(text) > 0 };
  const seen: number[] = [];
  for await (const one of withProgress(items(), 'tokens', stream)) seen.push(one);
  expect(seen).toHaveLength(count);
  return written.join('');
}

test('on a terminal each thousand is shown, and removed at the end', async () => {
  expect(await progress(true, 2500)).toBe('\r1000 tokens …\r2000 tokens …\r\u001b[K');
});

test('a short listing is not shown', async () => {
  expect(await progress(true, 999)).toBe('');
});

test('elsewhere nothing is shown', async () => {
  expect(await progress(false, 2500)).toBe('');
});

test('a digest is shown by its first 12 digits', () => {
  expect(shortDigest('ab'.repeat(32))).toBe('abababababab');
});
