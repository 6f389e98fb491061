import { expect, test } from 'vitest';
import { ageText, durationText } from './durations.ts';

test('lengths of time read as people say them', () => {
  expect([300, 1000, 1500, 3000, 119_000, 240_000, 10_800_000].map(durationText)).toEqual([
    ...['300ms', '1s', '1500ms', '3s', '119s', '4m', '3h'],
  ]);
});

test('ages are rounded to seconds', () => {
  expect([0, 999, 1400, 12_345, 7_200_000].map(ageText)).toEqual([
    'just now',
    'just now',
    '1s ago',
    '12s ago',
    '2h ago',
  ]);
});
