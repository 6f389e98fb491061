import { RE2JS } from 're2js';
import { expect, test } from 'vitest';
import { tiringPatterns } from './testing/tiring-patterns.ts';
import { tokenShape } from './token.ts';

test.each(tiringPatterns)(
  'a text that others choose costs %s no more than in proportion to its length',
  (text) => {
    const { matches } = tokenShape({ pattern: RE2JS.compile(text) });
    const time = (length: number) => {
      const token = `${'a'.repeat(length - 1)}!`;
      const start = performance.now();
      expect(matches(token)).toBe(false);
      return performance.now() - start;
    };
    // The minimum of several runs counts: other work of the machine only adds.
    const minTime = (length: number) => Math.min(...Array.from({ length: 15 }, () => time(length)));
    minTime(1_024);
    const [short, long] = [minTime(4_096), minTime(16_384)];
    console.log(`${text}: 4 KiB in ${short.toFixed(2)} ms, 16 KiB in ${long.toFixed(2)} ms`);
    // Four times the length: a square would be 16 times, and backtracking would not end at all.
    expect(long / short).toBeLessThan(4 * 2.5);
  },
);
