import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createSequence } from './sequence.ts';

type Line = readonly [sequence: number, dropped?: number];

function reportOf(lines: readonly Line[], isWhole = true) {
  const sequence = createSequence(isWhole);
  for (const [number, dropped = 0] of lines) sequence.add(number, dropped);
  return sequence.report;
}

test.each<[string, Line[], object]>([
  ['one after the other', [[1], [2], [3]], { lines: 3, first: 1, last: 3, missing: 0, repeats: 0, dropped: 0 }],
  ['a gap', [[1], [4]], { gaps: [{ first: 2, last: 3 }], missing: 2, dropped: 0 }],
  ['a drop that is said', [[1], [4, 2], [5]], { gaps: [], missing: 0, dropped: 2 }],
  ['a drop of which a part is said', [[1], [6, 2]], { gaps: [{ first: 2, last: 3 }], missing: 2, dropped: 2 }],
  ['more said than is missing', [[1], [2, 5]], { missing: 0, dropped: 0 }],
  ['a beginning that is missing', [[3]], { gaps: [{ first: 1, last: 2 }], missing: 2 }],
  ['a beginning that was dropped', [[3, 2]], { missing: 0, dropped: 2 }],
  ['a line twice', [[1], [2], [2], [1]], { lines: 4, last: 2, repeats: 2, missing: 0 }],
  [
    'a line that comes late',
    [[1], [5], [3]],
    {
      gaps: [
        { first: 2, last: 2 },
        { first: 4, last: 4 },
      ],
      missing: 2,
      repeats: 0,
    },
  ],
])('%s', (_what, lines, expected) => {
  expect(reportOf(lines)).toMatchObject(expected);
});

test('the first process of a trail may begin in an earlier file', () => {
  expect(reportOf([[7], [8]], false)).toMatchObject({ first: 7, missing: 0, dropped: 0 });
  expect(reportOf([[7, 3]], false)).toMatchObject({ missing: 0, dropped: 3 });
});

test('counts what was taken out of a trail, and put in again, whichever lines', () => {
  const kept = fc.array(fc.nat({ max: 2 }), { minLength: 2, maxLength: 60 });
  fc.assert(
    fc.property(kept, (times) => {
      const all = [1, ...times, 1];
      const lines = all.flatMap((count, at) => Array.from({ length: count }, (): Line => [at + 1]));
      const report = reportOf(lines);
      expect(report.missing).toBe(all.filter((count) => count === 0).length);
      expect(report.repeats).toBe(all.filter((count) => count === 2).length);
    }),
  );
});

test('remembers a thousand gaps and counts the others', () => {
  const { gaps, missing } = reportOf(Array.from({ length: 5_000 }, (_, at): Line => [2 * at + 1]));
  expect([gaps.length, missing]).toEqual([1_000, 4_999]);
});
