import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ageOf, type CacheRecord, isFresh, isUsable, toEntry } from './record.ts';
import { authenticated, createClocks, hour, lifetimes, minute } from './testing/cached-replica.ts';

/** Milliseconds. */
const time = fc.integer({ min: 0, max: 2 * hour });
const step = fc.oneof(
  time.map((by) => ({ kind: 'pass', by }) as const),
  fc.integer({ min: -hour, max: hour }).map((by) => ({ kind: 'set', by }) as const),
);
const ttls = fc.record({ authenticatedTtl: time, staleTtl: time });

function record(answeredAt: number, lifetime?: number): CacheRecord {
  const expiresAt = lifetime === undefined ? {} : { expiresAt: new Date(answeredAt + lifetime) };
  const decision = authenticated('jane', expiresAt);
  if (decision.kind !== 'authenticated') throw new Error('not authenticated');
  return { decision, answeredAt, revision: 0 };
}

/**
 * By two ends, one on each clock: what has reached one of them is over. `writer`: how far the clock of who asked the
 * backend was ahead.
 */
const history = fc.record({
  writer: fc.integer({ min: -hour, max: hour }),
  age: time,
  left: fc.option(time, { nil: Number.POSITIVE_INFINITY }),
  lifetime: fc.option(time, { nil: undefined }),
  steps: fc.array(step, { maxLength: 5 }),
  isCutOff: fc.boolean(),
});

describe('a cached answer', () => {
  test('ends by whichever clock comes first, however the clocks are set', () => {
    fc.assert(
      fc.property(history, ttls, ({ writer, age, left, lifetime, steps, isCutOff }, own) => {
        const clocks = createClocks();
        const made = record(clocks.wall() - age + writer, lifetime);
        const [startMonotonic, startWall] = [clocks.monotonic(), clocks.wall()];
        const entry = toEntry(made, clocks, { age, left });
        for (const { kind, by } of steps) clocks[kind](by);

        const [ran, shown] = [clocks.monotonic() - startMonotonic, clocks.wall()];
        const tokenEnd = lifetime === undefined ? Number.POSITIVE_INFINITY : made.answeredAt + lifetime;
        const atStart = Math.max(age, startWall - made.answeredAt);
        const isOver = (ttl: number) =>
          ran >= ttl - atStart ||
          shown >= made.answeredAt + ttl ||
          shown >= tokenEnd ||
          ran >= tokenEnd - startWall ||
          ran >= left;
        const { authenticatedTtl, staleTtl } = own;
        const believed = isCutOff && authenticatedTtl > 10_000 ? 10_000 : authenticatedTtl;
        expect(isFresh(entry, { ...lifetimes, ...own }, clocks, isCutOff)).toBe(!isOver(believed));
        expect(isUsable(entry, { ...lifetimes, ...own }, clocks)).toBe(!isOver(authenticatedTtl + staleTtl));
      }),
      { numRuns: 5_000 },
    );
  });

  test('lasts exactly its lifetime while the clocks are right', () => {
    for (const [isCutOff, lifetime] of [
      [false, lifetimes.authenticatedTtl],
      [true, 10_000],
    ] as const) {
      const clocks = createClocks();
      const entry = toEntry(record(clocks.wall()), clocks);
      clocks.pass(lifetime - 1);
      expect([ageOf(entry, clocks), isFresh(entry, lifetimes, clocks, isCutOff)]).toEqual([lifetime - 1, true]);
      clocks.pass(1);
      expect(isFresh(entry, lifetimes, clocks, isCutOff)).toBe(false);
      clocks.pass(lifetimes.authenticatedTtl + lifetimes.staleTtl - lifetime - 1);
      expect(isUsable(entry, lifetimes, clocks)).toBe(true);
      clocks.pass(1);
      expect(isUsable(entry, lifetimes, clocks)).toBe(false);
    }
  });

  test.each([
    ['set back an hour', -hour],
    ['right', 0],
    ['set ahead an hour', hour],
  ])('does not outlive its lifetime by a moment with the wall clock %s', (_, by) => {
    const clocks = createClocks();
    const entry = toEntry(record(clocks.wall()), clocks);
    const ending = toEntry(record(clocks.wall(), minute), clocks);
    clocks.set(by);
    clocks.pass(minute - 1);
    expect(isUsable(ending, lifetimes, clocks)).toBe(by <= 0);
    clocks.pass(1);
    expect(isUsable(ending, lifetimes, clocks)).toBe(false);
    clocks.pass(lifetimes.authenticatedTtl - minute);
    expect(isFresh(entry, lifetimes, clocks, false)).toBe(false);
    clocks.pass(lifetimes.staleTtl);
    expect(isUsable(entry, lifetimes, clocks)).toBe(false);
  });

  test('is not used after its token has ended, not even stale', () => {
    const clocks = createClocks();
    const entry = toEntry(record(clocks.wall(), minute), clocks);
    clocks.pass(minute - 1);
    expect([isFresh(entry, lifetimes, clocks, false), isUsable(entry, lifetimes, clocks)]).toEqual([true, true]);
    clocks.pass(1);
    expect([isFresh(entry, lifetimes, clocks, false), isUsable(entry, lifetimes, clocks)]).toEqual([false, false]);
  });
});
