import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createNetworks } from '../config/login.ts';
import type { ServerRequest } from '../http/http-server.ts';
import { clientAddress, createAddressLimit, createShares } from './bounds.ts';

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

const addressOf = (
  peer: string,
  header?: string,
  proxies: readonly string[] = ['10.0.0.0/8', '2001:db8:ff::/48'],
) => {
  const request = { socket: { remoteAddress: peer }, headers: { 'x-forwarded-for': header } };
  return clientAddress(request as unknown as ServerRequest, createNetworks(proxies));
};

test('an address has a fifth of the slots at most, and gets them back', () => {
  const { enter } = createShares();
  const begin = (address: string) => enter(address, 10);
  const leave = begin('192.0.2.1');
  expect(begin('192.0.2.1')).toBeTypeOf('function');
  for (const _ of [1, 2]) expect(begin('192.0.2.1')).toBeUndefined();
  // A refusal takes nothing away from others.
  const others = [2, 3, 4, 5].flatMap((last) => [
    begin(`192.0.2.${last}`),
    begin(`::ffff:192.0.2.${last}`),
  ]);
  expect(others.every((one) => typeof one === 'function')).toBe(true);
  expect(begin('192.0.2.6')).toBeUndefined();
  leave?.();
  expect(begin('192.0.2.6')).toBeTypeOf('function');
  expect(begin('192.0.2.1')).toBeUndefined();
  expect(createShares().enter('192.0.2.1', 1)).toBeTypeOf('function');
});

describe('the address of a client', () => {
  test.each([
    {
      what: 'is that of its connection',
      peer: '192.0.2.1',
      header: undefined,
      expected: '192.0.2.1',
    },
    {
      what: 'is not what a client writes',
      peer: '192.0.2.1',
      header: '198.51.100.1',
      expected: '192.0.2.1',
    },
    {
      what: 'is what a proxy writes',
      peer: '10.0.0.1',
      header: '198.51.100.1',
      expected: '198.51.100.1',
    },
    {
      what: 'is the last one before the proxies',
      peer: '10.0.0.1',
      header: '203.0.113.9, 198.51.100.1 , 10.1.1.1',
      expected: '198.51.100.1',
    },
    {
      what: 'may be behind a proxy over IPv6',
      peer: '2001:db8:ff::1',
      header: '2001:DB8::7',
      expected: '2001:db8::7',
    },
    {
      what: 'is an IPv4 address, however it is written',
      peer: '::ffff:10.0.0.1',
      header: '::FFFF:198.51.100.1',
      expected: '198.51.100.1',
    },
    {
      what: 'is that of a proxy that writes nothing',
      peer: '10.0.0.1',
      header: undefined,
      expected: '10.0.0.1',
    },
    {
      what: 'is that of a proxy that writes nonsense',
      peer: '10.0.0.1',
      header: '198.51.100.1, unknown',
      expected: '10.0.0.1',
    },
    {
      what: 'may have a port',
      peer: '10.0.0.1',
      header: '203.0.113.9, 198.51.100.1:5678',
      expected: '198.51.100.1',
    },
    {
      what: 'may have brackets',
      peer: '10.0.0.1',
      header: '[2001:DB8::7]',
      expected: '2001:db8::7',
    },
    {
      what: 'may have brackets and a port',
      peer: '10.0.0.1',
      header: '[2001:db8::7]:443',
      expected: '2001:db8::7',
    },
    {
      what: 'is that of a proxy if there are proxies alone',
      peer: '10.0.0.1',
      header: '10.0.0.2',
      expected: '10.0.0.2',
    },
    {
      what: 'is found in a header of any length',
      peer: '10.0.0.1',
      header: `${'x,'.repeat(10_000)}198.51.100.1`,
      expected: '198.51.100.1',
    },
  ])('is found: $what', ({ peer, header, expected }) => {
    expect(addressOf(peer, header)).toBe(expected);
  });

  test('is that of the connection without trusted proxies', () => {
    expect(addressOf('10.0.0.1', '198.51.100.1', [])).toBe('10.0.0.1');
  });
});
