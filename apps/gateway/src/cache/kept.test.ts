import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ageOf, isFresh, isUsable, keep, newest } from './kept.ts';
import type { CacheRecord } from './record.ts';
import { createClocks, hour, lifetimes, minute, yes } from './testing/cached-replica.ts';

/** Milliseconds. */
const time = fc.integer({ min: 0, max: 2 * hour });
const step = fc.oneof(
  time.map((by) => ({ kind: 'pass', by }) as const),
  fc.integer({ min: -hour, max: hour }).map((by) => ({ kind: 'set', by }) as const),
);
const ttls = fc.record({ authenticatedTtl: time, staleTtl: time });

function record(answeredAt: number, lifetime?: number): CacheRecord {
  const expiresAt = lifetime === undefined ? {} : { expiresAt: new Date(answeredAt + lifetime) };
  const decision = yes('jane', expiresAt);
  if (decision.kind !== 'authenticated') throw new Error('no yes');
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

describe('an answer that is kept', () => {
  test('ends by whichever clock comes first, whatever the clocks do', () => {
    fc.assert(
      fc.property(history, ttls, ({ writer, age, left, lifetime, steps, isCutOff }, own) => {
        const clocks = createClocks();
        const made = record(clocks.wall() - age + writer, lifetime);
        const [startMonotonic, startWall] = [clocks.monotonic(), clocks.wall()];
        const kept = keep(made, clocks, { age, left });
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
        expect(isFresh(kept, { ...lifetimes, ...own }, clocks, isCutOff)).toBe(!isOver(believed));
        expect(isUsable(kept, { ...lifetimes, ...own }, clocks)).toBe(!isOver(authenticatedTtl + staleTtl));
      }),
      { numRuns: 5_000 },
    );
  });

  test('lasts exactly as long as it should while the clocks are right', () => {
    for (const [isCutOff, lifetime] of [
      [false, lifetimes.authenticatedTtl],
      [true, 10_000],
    ] as const) {
      const clocks = createClocks();
      const kept = keep(record(clocks.wall()), clocks, newest);
      clocks.pass(lifetime - 1);
      expect([ageOf(kept, clocks), isFresh(kept, lifetimes, clocks, isCutOff)]).toEqual([lifetime - 1, true]);
      clocks.pass(1);
      expect(isFresh(kept, lifetimes, clocks, isCutOff)).toBe(false);
      clocks.pass(lifetimes.authenticatedTtl + lifetimes.staleTtl - lifetime - 1);
      expect(isUsable(kept, lifetimes, clocks)).toBe(true);
      clocks.pass(1);
      expect(isUsable(kept, lifetimes, clocks)).toBe(false);
    }
  });

  test.each([
    ['set back an hour', -hour],
    ['right', 0],
    ['set ahead an hour', hour],
  ])('does not outlive its lifetime by a moment with the wall clock %s', (_, by) => {
    const clocks = createClocks();
    const kept = keep(record(clocks.wall()), clocks, newest);
    const ending = keep(record(clocks.wall(), minute), clocks, newest);
    clocks.set(by);
    clocks.pass(minute - 1);
    expect(isUsable(ending, lifetimes, clocks)).toBe(by <= 0);
    clocks.pass(1);
    expect(isUsable(ending, lifetimes, clocks)).toBe(false);
    clocks.pass(lifetimes.authenticatedTtl - minute);
    expect(isFresh(kept, lifetimes, clocks, false)).toBe(false);
    clocks.pass(lifetimes.staleTtl);
    expect(isUsable(kept, lifetimes, clocks)).toBe(false);
  });

  test('of a token that ends is never used after that, stale neither', () => {
    const clocks = createClocks();
    const kept = keep(record(clocks.wall(), minute), clocks, newest);
    clocks.pass(minute - 1);
    expect([isFresh(kept, lifetimes, clocks, false), isUsable(kept, lifetimes, clocks)]).toEqual([true, true]);
    clocks.pass(1);
    expect([isFresh(kept, lifetimes, clocks, false), isUsable(kept, lifetimes, clocks)]).toEqual([false, false]);
  });
});
