import { expect, test } from 'vitest';
import { roundedDuration, timeText } from './times.ts';

test.each([
  { milliseconds: -5_000, text: '0s' },
  { milliseconds: 999, text: '0s' },
  { milliseconds: 59_999, text: '59s' },
  { milliseconds: 119_999, text: '119s' },
  { milliseconds: 131_999, text: '2m11s' },
  { milliseconds: 599_999, text: '9m59s' },
  { milliseconds: 659_999, text: '10m' },
  { milliseconds: 7_619_999, text: '2h6m' },
])('$milliseconds measured ms are $text', ({ milliseconds, text }) => {
  expect(roundedDuration(milliseconds)).toBe(text);
});

test('times have milliseconds only where there are some', () => {
  expect(timeText(new Date('2030-01-31T12:00:00Z'))).toBe('2030-01-31T12:00:00Z');
  expect(timeText(new Date('2030-01-31T12:00:00.010Z'))).toBe('2030-01-31T12:00:00.010Z');
});
