import { expect, test } from 'vitest';
import { UsageError } from '../usage-error.ts';
import { readFor, readWait } from './duration-option.ts';

test('a block holds for up to 366 days, leap years too', () => {
  expect([readFor('30s'), readFor('1h30m'), readFor('366d')]).toEqual([30_000, 5_400_000, 366 * 86_400_000]);
});

test.each([
  [undefined, '--for is missing: say how long, such as --for 8h or 30d'],
  ['367d', '--for must be at most 366d: write --for 8h or 30d'],
  ['0s', '--for must be longer than 0: write --for 8h or 30d'],
  ['never', '--for: "never" is not a duration: write --for 8h or 30d'],
  ['8', '--for: "8" has no unit: write --for 8h or 30d'],
])('--for %s is wrong usage', (text, message) => {
  expect(() => readFor(text)).toThrow(new UsageError(message));
});

test('5 s are waited for replicas, or what is said, or not at all', () => {
  expect([readWait(undefined), readWait('0'), readWait('10m')]).toEqual([5_000, 0, 600_000]);
  expect(() => readWait('11m')).toThrow(new UsageError('--wait must be at most 10m: write --wait 5s'));
});
