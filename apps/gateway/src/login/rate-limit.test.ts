import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createAddressLimit, createAddressShares } from './rate-limit.ts';

function createLimitWithClock(count = 3, per = 60_000) {
  let now = 0;
  const limit = createAddressLimit(
    () => ({ count, per }),
    () => now,
  );
  return {
    take: limit.take,
    later: (milliseconds: number) => {
      now += milliseconds;
    },
  };
}

describe('the attempts of an address', () => {
  test('are limited, and come back one by one', () => {
    const { take, later } = createLimitWithClock();
    for (let count = 0; count < 3; count++) expect(take('192.0.2.1')).toBeTypeOf('function');
    expect(take('192.0.2.1')).toBe(20);
    expect(take('192.0.2.2')).toBeTypeOf('function');
    later(19_999);
    expect(take('192.0.2.1')).toBe(1);
    later(1);
    expect(take('192.0.2.1')).toBeTypeOf('function');
    expect(take('192.0.2.1')).toBe(20);
  });

  test('that were not a guess are given back, once', () => {
    const { take } = createLimitWithClock(1);
    for (let count = 0; count < 5; count++) {
      const giveBack = take('192.0.2.1');
      expect(take('192.0.2.1')).toBe(60);
      if (typeof giveBack === 'function') for (const _ of [1, 2]) giveBack();
    }
  });

  test('are those of a network of IPv6', () => {
    const { take } = createLimitWithClock(1);
    expect(take('2001:db8::1')).toBeTypeOf('function');
    expect(take('2001:db8::2')).toBe(60);
    expect(take('2001:db8:0:1::1')).toBeTypeOf('function');
  });

  test('never exceed their rate by more than the first ones, in whatever order they come', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(30_000), { maxLength: 60 }), (waits) => {
        const { take, later } = createLimitWithClock();
        let taken = 0;
        for (const wait of waits) {
          later(wait);
          if (typeof take('192.0.2.1') === 'function') taken++;
        }
        const time = waits.reduce((sum, wait) => sum + wait, 0);
        expect(taken).toBeLessThanOrEqual(3 + time / 20_000 + 1e-6);
      }),
    );
  });
});

test('an address has a fifth of the slots at most, and gets them back', () => {
  const { enter } = createAddressShares();
  const begin = (address: string) => enter(address, 10);
  const leave = begin('192.0.2.1');
  expect(begin('192.0.2.1')).toBeTypeOf('function');
  for (const _ of [1, 2]) expect(begin('192.0.2.1')).toBeUndefined();
  // A refusal takes nothing away from others.
  const others = [2, 3, 4, 5].flatMap((last) => [
    begin(`192.0.2.${last}`),
    begin(`::ffff:192.0.2.${last}`),
  ]);
  expect(others.every((leaveShare) => typeof leaveShare === 'function')).toBe(true);
  expect(begin('192.0.2.6')).toBeUndefined();
  leave?.();
  expect(begin('192.0.2.6')).toBeTypeOf('function');
  expect(begin('192.0.2.1')).toBeUndefined();
  expect(createAddressShares().enter('192.0.2.1', 1)).toBeTypeOf('function');
});
