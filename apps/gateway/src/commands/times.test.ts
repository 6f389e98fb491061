import { parseDuration } from '@sallyport/plugin-kit';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { optionDuration, roundedDuration, timeText } from './times.ts';

test.each([
  { milliseconds: -5_000, text: '0s' },
  { milliseconds: 999, text: '0s' },
  { milliseconds: 59_999, text: '59s' },
  { milliseconds: 119_999, text: '119s' },
  { milliseconds: 131_999, text: '2m11s' },
  { milliseconds: 599_999, text: '9m59s' },
  { milliseconds: 659_999, text: '10m' },
  { milliseconds: 7_619_999, text: '2h6m' },
  { milliseconds: 172_799_999, text: '47h59m' },
  { milliseconds: 183_599_999, text: '2d2h' },
])('$milliseconds measured ms are $text', ({ milliseconds, text }) => {
  expect(roundedDuration(milliseconds)).toBe(text);
});

test('a duration for an option leaves out nothing', () => {
  expect(optionDuration(181_800_000)).toBe('2d2h30m');
  expect(optionDuration(86_400_000)).toBe('24h');
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 366 * 86_400_000 }), (milliseconds) => {
      expect(parseDuration(optionDuration(milliseconds))).toEqual({ value: milliseconds });
    }),
  );
});

test('times have milliseconds only where there are some', () => {
  expect(timeText(new Date('2030-01-31T12:00:00Z'))).toBe('2030-01-31T12:00:00Z');
  expect(timeText(new Date('2030-01-31T12:00:00.010Z'))).toBe('2030-01-31T12:00:00.010Z');
});
