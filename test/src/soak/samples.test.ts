import { expect, test } from 'vitest';
import { findGrowth, findUnexplained, type Sample } from './samples.ts';

const sample = (changed: Partial<Sample> = {}): Sample => ({
  minute: 0,
  heap: 40,
  memory: 200,
  openFiles: 40,
  p50: 2,
  p99: 10,
  ...changed,
});

const before = [sample({ heap: 20 }), sample(), sample()];

test('what wavers has not grown, nor what was there once the caches were full', () => {
  expect(findGrowth([...before, sample({ heap: 43, openFiles: 44, p50: 5, memory: 300 })])).toEqual(
    [],
  );
});

test.each([
  { changed: { heap: 60 }, words: 'heap grew from 40.0 to 60.0' },
  { changed: { openFiles: 60 }, words: 'openFiles grew from 40.0 to 60.0' },
  { changed: { p50: 20 }, words: 'p50 grew from 2.0 to 20.0' },
])('$changed is growth', ({ changed, words }) => {
  expect(findGrowth([...before, sample(changed)])).toEqual([words]);
});

test('a run can be too short to find growth', () => {
  expect(findGrowth(before)).toEqual(['too short to find growth: at least 4 cycles']);
});

test.each([
  { name: 'allows one', unexplained: 1, words: [] },
  {
    name: 'reports two',
    unexplained: 2,
    words: ['LDAP: 2 of 1002 could not be checked without an outage'],
  },
])('$name of a thousand that could not be checked without an outage', ({ unexplained, words }) => {
  expect(
    findUnexplained(new Map([['LDAP', { answered: 1_000, unavailable: 500, unexplained }]])),
  ).toEqual(words);
});
