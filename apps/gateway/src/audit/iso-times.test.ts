import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createIsoTimes } from './iso-times.ts';

test('is what Date makes of any time, one after the other', () => {
  // The years that ISO 8601 writes in four digits, and times of one second in between.
  const first = Date.UTC(2030, 0, 31, 12, 0, 0);
  const times = fc.oneof(
    fc.integer({ min: Date.UTC(1900, 0, 1), max: Date.UTC(9999, 11, 31) }),
    fc.integer({ min: first - 1_500, max: first + 1_500 }),
  );
  fc.assert(
    fc.property(fc.array(times), (list) => {
      const time = createIsoTimes();
      for (const at of list) expect(time(at)).toBe(new Date(at).toISOString());
    }),
  );
});

test('throws for what is no time', () => {
  const time = createIsoTimes();
  expect(() => time(Number.NaN)).toThrow(RangeError);
  expect(() => time(Number.POSITIVE_INFINITY)).toThrow(RangeError);
});
