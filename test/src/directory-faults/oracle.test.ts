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
  { name: 'the groups of now', review: asked(90_000, ['a']) },
  { name: 'groups in another order', review: asked(30_000, ['b', 'a']) },
  { name: 'groups while they change, before', review: asked(60_050, ['a', 'b']) },
  { name: 'groups while they change, after', review: asked(60_050, ['a']) },
  { name: 'groups of the oldest answer that counts', review: asked(69_100, ['a', 'b']) },
  { name: 'a refusal of a locked user', review: asked(180_050, 'refused') },
  { name: 'an error', review: asked(90_000, 'error') },
])('$name are right', ({ review }) => {
  expect(problemOf(review, versions, lifetimes)).toBeUndefined();
});

test.each([
  {
    name: 'groups of a cached answer that is too old',
    review: asked(69_101, ['a', 'b']),
    problem: /too long ago/,
  },
  {
    name: 'groups that the user gets later',
    review: asked(90_000, ['a', 'c']),
    problem: /too long ago/,
  },
  { name: 'a part of the groups', review: asked(30_000, ['b']), problem: /never/ },
  { name: 'no groups', review: asked(30_000, []), problem: /never/ },
  { name: 'the groups of both times', review: asked(120_050, ['a', 'b', 'c']), problem: /never/ },
  { name: 'a locked user', review: asked(189_101, ['a', 'c']), problem: /locked all the time/ },
  {
    name: 'a refusal of a user who was never locked',
    review: asked(179_000, 'refused'),
    problem: /never locked/,
  },
])('$name are wrong', ({ review, problem }) => {
  expect(problemOf(review, versions, lifetimes)).toMatch(problem);
});

test('an answer is stale when it is older than refresh and one lookup', () => {
  expect(isStale(asked(63_100, ['a', 'b']), versions, lifetimes)).toBe(false);
  expect(isStale(asked(63_101, ['a', 'b']), versions, lifetimes)).toBe(true);
  expect(isStale(asked(63_101, 'error'), versions, lifetimes)).toBe(false);
});
