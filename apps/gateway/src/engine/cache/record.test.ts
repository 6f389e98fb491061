import type { Authenticated } from '@sallyport/authenticator';
import { anyCharacter } from '@sallyport/scripts/any-character';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type CacheRecord,
  decodeRecord,
  encodeRecord,
  estimateSize,
  isFresh,
  isUsable,
  measureAge,
  type StoredRecord,
  toEntry,
} from './record.ts';
import { anyPositive } from './testing/arbitrary-decisions.ts';
import { authenticated, createClocks, hour, lifetimes } from './testing/cached-replica.ts';

const anyRecord: fc.Arbitrary<StoredRecord> = fc.record(
  {
    decision: anyPositive,
    // JSON knows no -0.
    answeredAt: fc.double({ noNaN: true, noDefaultInfinity: true }).map((time) => time + 0),
    revision: fc.maxSafeNat(),
    ttl: fc.maxSafeNat(),
  },
  { noNullPrototype: true },
);

/** Whether every object in it is frozen: a caller must not be able to change a cached answer for the next. */
function isFrozen(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || value instanceof Date) return true;
  return (
    Object.isFrozen(value) &&
    Reflect.ownKeys(value).every((key) => isFrozen(Reflect.get(value, key)))
  );
}

describe('a record', () => {
  test('decodes to what was encoded, for every valid decision, and frozen', () => {
    fc.assert(
      fc.property(anyRecord, (record) => {
        const decoded = decodeRecord(encodeRecord(record));
        // As texts: vitest makes something of its own of keys named `constructor` and `__proto__`.
        expect(JSON.stringify(decoded)).toBe(JSON.stringify(record));
        expect(isFrozen(decoded?.decision)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test('keeps a key named __proto__ a key, and takes nothing from it', () => {
    const extra = Object.fromEntries([['__proto__', ['a']]]);
    const decision: Authenticated = { kind: 'authenticated', user: { username: 'jane', extra } };
    const decoded = decodeRecord(encodeRecord({ decision, answeredAt: 1, revision: 0, ttl: 1 }));
    expect(Object.keys(decoded?.decision.user.extra ?? {})).toEqual(['__proto__']);
    expect(Object.getPrototypeOf(decoded?.decision.user.extra)).toBe(Object.prototype);
    expect(decoded?.decision.user.groups).toBeUndefined();
  });

  test('distinguishes a missing field from an empty one', () => {
    for (const user of [{ username: '' }, { username: 'jane', uid: '', groups: [], extra: {} }]) {
      for (const audiences of [undefined, []]) {
        const decision: Authenticated = {
          kind: 'authenticated',
          user,
          ...(audiences && { audiences }),
        };
        const decoded = decodeRecord(
          encodeRecord({ decision, answeredAt: 1, revision: 0, ttl: 1 }),
        );
        expect(decoded?.decision).toStrictEqual(decision);
      }
    }
  });
});

const good = { answeredAt: 1, revision: 2, keptFor: 3, user: { username: 'jane' } };

describe('a foreign value', () => {
  test('is not read as a record, whatever it is', () => {
    const json = (value: unknown) => JSON.stringify(value);
    expect(decodeRecord(json(good))).toBeDefined();
    for (const change of [
      { answeredAt: undefined },
      { answeredAt: '1' },
      { answeredAt: null },
      { revision: undefined },
      { revision: 1.5 },
      { revision: '2' },
      { keptFor: undefined },
      { keptFor: null },
      { user: undefined },
      { user: {} },
      { user: { username: 7 } },
      { user: { username: 'jane', groups: 'admins' } },
      { user: { username: 'jane', groups: [7] } },
      { user: { username: 'jane', extra: { team: 'a' } } },
      { user: { username: '\uD800' } },
      { credential: 'jti' },
      { credential: null },
      { credential: { jti: 7 } },
      { credential: { sid: '\uD800' } },
      { audiences: 'a' },
      { audiences: [null] },
      { expiresAt: 'never' },
      { expiresAt: 9e15 },
    ]) {
      expect(decodeRecord(json({ ...good, ...change })), JSON.stringify(change)).toBeUndefined();
    }
    for (const value of [null, 7, 'x', [], [good], {}, true])
      expect(decodeRecord(json(value))).toBeUndefined();
  });

  test('is not read as a record in any text, and nothing throws', () => {
    fc.assert(
      fc.property(fc.string({ unit: anyCharacter }), (text) => {
        expect(decodeRecord(text)).toBeUndefined();
      }),
    );
    const whole = JSON.stringify(good);
    for (let end = 0; end < whole.length; end += 1)
      expect(decodeRecord(whole.slice(0, end))).toBeUndefined();
  });
});

test('the size of a decision is at least that of its texts, and grows with each', () => {
  fc.assert(
    fc.property(anyPositive, fc.string({ minLength: 40, maxLength: 400 }), (decision, more) => {
      const { user, credential = {}, audiences = [] } = decision;
      const { jti = '', sid = '' } = credential;
      const texts = [user.username, user.uid ?? '', jti, sid, ...(user.groups ?? []), ...audiences];
      const letters = [...texts, ...Object.entries(user.extra ?? {}).flat(2)].join('').length;
      expect(estimateSize(decision)).toBeGreaterThanOrEqual(letters * 2);
      const larger = { ...decision, user: { ...user, groups: [...(user.groups ?? []), more] } };
      expect(estimateSize(larger)).toBeGreaterThanOrEqual(
        estimateSize(decision) + more.length * 2 + 1,
      );
      const named = { ...decision, credential: { jti: more, sid: more } };
      expect(estimateSize(named)).toBeGreaterThanOrEqual(
        estimateSize({ ...decision, credential: {} }) + more.length * 4,
      );
    }),
  );
});

/** Milliseconds. */
const time = fc.integer({ min: 0, max: 2 * hour });
const step = fc.oneof(
  time.map((by) => ({ kind: 'pass', by }) as const),
  fc.integer({ min: -hour, max: hour }).map((by) => ({ kind: 'set', by }) as const),
);
const ttls = fc.record({ authenticatedTtl: time, staleTtl: time });

function recordGiven(answeredAt: number, lifetime?: number): CacheRecord {
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

test('a cached answer ends by whichever clock comes first, however the clocks are set', () => {
  fc.assert(
    fc.property(history, ttls, ({ writer, age, left, lifetime, steps, isCutOff }, own) => {
      const clocks = createClocks();
      const made = recordGiven(clocks.wall() - age + writer, lifetime);
      const [startMonotonic, startWall] = [clocks.monotonic(), clocks.wall()];
      const entry = toEntry(made, clocks, { age, timeLeft: left });
      for (const { kind, by } of steps) clocks[kind](by);

      const [ran, shown] = [clocks.monotonic() - startMonotonic, clocks.wall()];
      const tokenEnd =
        lifetime === undefined ? Number.POSITIVE_INFINITY : made.answeredAt + lifetime;
      const atStart = Math.max(age, startWall - made.answeredAt);
      const isOver = (ttl: number) =>
        ran >= ttl - atStart ||
        shown >= made.answeredAt + ttl ||
        shown >= tokenEnd ||
        ran >= tokenEnd - startWall ||
        ran >= left;
      const { authenticatedTtl, staleTtl } = own;
      const believed = isCutOff && authenticatedTtl > 10_000 ? 10_000 : authenticatedTtl;
      expect(measureAge(entry, clocks)).toBe(Math.max(ran + atStart, shown - made.answeredAt));
      expect(isFresh(entry, { ...lifetimes, ...own }, clocks, isCutOff)).toBe(!isOver(believed));
      expect(isUsable(entry, { ...lifetimes, ...own }, clocks)).toBe(
        !isOver(authenticatedTtl + staleTtl),
      );
    }),
    { numRuns: 3_000 },
  );
});
