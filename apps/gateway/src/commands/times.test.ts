import { expect, test } from 'vitest';
import { humanDuration, optionDuration, timeText } from './times.ts';

const [s, m, h, d] = [1_000, 60_000, 3_600_000, 86_400_000];
const y = 365 * d;

// Both sides of each limit.
test.each([
  { milliseconds: -5 * d, text: '0s' },
  { milliseconds: 0, text: '0s' },
  { milliseconds: 999, text: '0s' },
  { milliseconds: s, text: '1s' },
  { milliseconds: 70 * s, text: '70s' },
  { milliseconds: 2 * m - 1, text: '119s' },
  { milliseconds: 2 * m, text: '2m' },
  { milliseconds: 2 * m + s, text: '2m1s' },
  { milliseconds: 190 * s, text: '3m10s' },
  { milliseconds: 10 * m - s, text: '9m59s' },
  { milliseconds: 10 * m + 59 * s, text: '10m' },
  { milliseconds: 70 * m, text: '70m' },
  { milliseconds: 3 * h - 1, text: '179m' },
  { milliseconds: 3 * h, text: '3h' },
  { milliseconds: 3 * h + 10 * m, text: '3h10m' },
  { milliseconds: 8 * h - s, text: '7h59m' },
  { milliseconds: 8 * h, text: '8h' },
  { milliseconds: 47 * h + 59 * m, text: '47h' },
  { milliseconds: 48 * h, text: '2d' },
  { milliseconds: 48 * h + m, text: '2d' },
  { milliseconds: 5 * d + 3 * h, text: '5d3h' },
  { milliseconds: 8 * d - 1, text: '7d23h' },
  { milliseconds: 8 * d, text: '8d' },
  { milliseconds: 2 * y - 1, text: '729d' },
  { milliseconds: 2 * y, text: '2y' },
  { milliseconds: 2 * y + 23 * h, text: '2y' },
  { milliseconds: 3 * y + 10 * d, text: '3y10d' },
  { milliseconds: 8 * y - 1, text: '7y364d' },
  { milliseconds: 8 * y + 364 * d, text: '8y' },
  { milliseconds: 8000 * y, text: '8000y' },
])('$milliseconds ms are $text', ({ milliseconds, text }) => {
  expect(humanDuration(milliseconds)).toBe(text);
});

test('times have milliseconds only where there are some', () => {
  expect(timeText(new Date('2030-01-31T12:00:00Z'))).toBe('2030-01-31T12:00:00Z');
  expect(timeText(new Date('2030-01-31T12:00:00.010Z'))).toBe('2030-01-31T12:00:00.010Z');
});

test.each([
  { milliseconds: 1, text: '1ms' },
  { milliseconds: 90 * s, text: '90s' },
  { milliseconds: 90 * m, text: '90m' },
  { milliseconds: 36 * h, text: '36h' },
  { milliseconds: y + 8 * h, text: '8768h' },
  { milliseconds: y, text: '365d' },
])('$milliseconds ms are $text for an option', ({ milliseconds, text }) => {
  expect(optionDuration(milliseconds)).toBe(text);
});
