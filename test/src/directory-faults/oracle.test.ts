import { expect, test } from 'vitest';
import { type Answer, isStale, problemOf, type Version } from './oracle.ts';

const lifetimes = { refresh: 2_000, staleTtl: 6_000, lookup: 1_000 };
const version = (begin: number, end: number, groups: string[], isLocked = false): Version => ({
  begin,
  end,
  groups: new Set(groups),
  isLocked,
});
/** A user loses `b`, gets `c` and is locked, a minute apart. Each change takes 100 ms. */
const versions = [
  version(0, 60_100, ['a', 'b']),
  version(60_000, 120_100, ['a']),
  version(120_000, 180_100, ['a', 'c']),
  version(180_000, Number.POSITIVE_INFINITY, ['a', 'c'], true),
];
const asked = (begin: number, answer: Answer) => ({ answer, begin, end: begin + 100 });

test.each([
  ['the groups of now', asked(90_000, ['a'])],
  ['groups in another order', asked(30_000, ['b', 'a'])],
  ['groups while they change, before', asked(60_050, ['a', 'b'])],
  ['groups while they change, after', asked(60_050, ['a'])],
  ['groups of the oldest answer that counts', asked(69_100, ['a', 'b'])],
  ['a refusal of a locked user', asked(180_050, 'refused')],
  ['an error', asked(90_000, 'error')],
])('%s are right', (_what, review) => {
  expect(problemOf(review, versions, lifetimes)).toBeUndefined();
});

test.each([
  ['groups of a cached answer that is too old', asked(69_101, ['a', 'b']), /too long ago/],
  ['groups that the user gets later', asked(90_000, ['a', 'c']), /too long ago/],
  ['a part of the groups', asked(30_000, ['b']), /never/],
  ['no groups', asked(30_000, []), /never/],
  ['the groups of both times', asked(120_050, ['a', 'b', 'c']), /never/],
  ['a locked user', asked(189_101, ['a', 'c']), /locked all the time/],
  ['a refusal of a user who was never locked', asked(179_000, 'refused'), /never locked/],
])('%s are wrong', (_what, review, problem) => {
  expect(problemOf(review, versions, lifetimes)).toMatch(problem);
});

test('an answer is stale when it is older than refresh and one lookup', () => {
  expect(isStale(asked(63_100, ['a', 'b']), versions, lifetimes)).toBe(false);
  expect(isStale(asked(63_101, ['a', 'b']), versions, lifetimes)).toBe(true);
  expect(isStale(asked(63_101, 'error'), versions, lifetimes)).toBe(false);
});
