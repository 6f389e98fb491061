import { expect, test } from 'vitest';
import { createAddressShares } from './address-shares.ts';

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
