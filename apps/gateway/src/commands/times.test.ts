import { expect, test } from 'vitest';
import { humanDuration, optionDuration, timeText } from './times.ts';

const [s, m, h, d] = [1_000, 60_000, 3_600_000, 86_400_000];
const y = 365 * d;

// Both sides of each limit.
test.each([
  [-5 * d, '0s'],
  [0, '0s'],
  [999, '0s'],
  [s, '1s'],
  [70 * s, '70s'],
  [2 * m - 1, '119s'],
  [2 * m, '2m'],
  [2 * m + s, '2m1s'],
  [190 * s, '3m10s'],
  [10 * m - s, '9m59s'],
  [10 * m + 59 * s, '10m'],
  [70 * m, '70m'],
  [3 * h - 1, '179m'],
  [3 * h, '3h'],
  [3 * h + 10 * m, '3h10m'],
  [8 * h - s, '7h59m'],
  [8 * h, '8h'],
  [47 * h + 59 * m, '47h'],
  [48 * h, '2d'],
  [48 * h + m, '2d'],
  [5 * d + 3 * h, '5d3h'],
  [8 * d - 1, '7d23h'],
  [8 * d, '8d'],
  [2 * y - 1, '729d'],
  [2 * y, '2y'],
  [2 * y + 23 * h, '2y'],
  [3 * y + 10 * d, '3y10d'],
  [8 * y - 1, '7y364d'],
  [8 * y + 364 * d, '8y'],
  [8000 * y, '8000y'],
])('%d ms are %s', (milliseconds, text) => {
  expect(humanDuration(milliseconds)).toBe(text);
});

test('times have milliseconds only where there are some', () => {
  expect(timeText(new Date('2030-01-31T12:00:00Z'))).toBe('2030-01-31T12:00:00Z');
  expect(timeText(new Date('2030-01-31T12:00:00.010Z'))).toBe('2030-01-31T12:00:00.010Z');
});

test.each([
  [1, '1ms'],
  [90 * s, '90s'],
  [90 * m, '90m'],
  [36 * h, '36h'],
  [y + 8 * h, '8768h'],
  [y, '365d'],
])('%d ms are %s for an option', (milliseconds, text) => {
  expect(optionDuration(milliseconds)).toBe(text);
});
