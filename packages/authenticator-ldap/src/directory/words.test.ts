import { expect, test } from 'vitest';
import { ageInWords, inWords } from './words.ts';

test('lengths of time read as people say them', () => {
  expect([300, 1000, 1500, 3000, 119_000, 240_000, 10_800_000].map(inWords)).toEqual([
    '300 ms',
    '1 s',
    '1500 ms',
    '3 s',
    '119 s',
    '4 min',
    '3 h',
  ]);
});

test('ages are rounded to seconds', () => {
  expect([0, 999, 1400, 12_345, 7_200_000].map(ageInWords)).toEqual([
    'just now',
    'just now',
    '1 s ago',
    '12 s ago',
    '2 h ago',
  ]);
});
