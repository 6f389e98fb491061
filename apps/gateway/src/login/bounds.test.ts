import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createNetworks } from '../config/login.ts';
import type { ServerRequest } from '../server/http-server.ts';
import { clientAddress, createAddressLimit, createTurns } from './bounds.ts';

function setUp(count = 3, per = 60_000) {
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

describe('the tries of an address', () => {
  test('are limited, and come back one by one', () => {
    const { take, later } = setUp();
    for (let count = 0; count < 3; count++) expect(take('192.0.2.1')).toBeTypeOf('function');
    expect(take('192.0.2.1')).toBe(20);
    expect(take('192.0.2.2')).toBeTypeOf('function');
    later(19_999);
    expect(take('192.0.2.1')).toBe(1);
    later(1);
    expect(take('192.0.2.1')).toBeTypeOf('function');
    expect(take('192.0.2.1')).toBe(20);
  });

  test('that were no guess are given back, once', () => {
    const { take } = setUp(1);
    for (let count = 0; count < 5; count++) {
      const giveBack = take('192.0.2.1');
      expect(take('192.0.2.1')).toBe(60);
      if (typeof giveBack === 'function') for (const _ of [1, 2]) giveBack();
    }
  });

  test('are those of a network of IPv6', () => {
    const { take } = setUp(1);
    expect(take('2001:db8::1')).toBeTypeOf('function');
    expect(take('2001:db8::2')).toBe(60);
    expect(take('2001:db8:0:1::1')).toBeTypeOf('function');
  });

  test('never exceed their rate by more than the first ones, in whatever order they come', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(30_000), { maxLength: 60 }), (pauses) => {
        const { take, later } = setUp();
        let taken = 0;
        for (const pause of pauses) {
          later(pause);
          if (typeof take('192.0.2.1') === 'function') taken++;
        }
        const time = pauses.reduce((sum, pause) => sum + pause, 0);
        expect(taken).toBeLessThanOrEqual(3 + time / 20_000 + 1e-6);
      }),
    );
  });
});

const addressOf = (peer: string, header?: string, proxies: readonly string[] = ['10.0.0.0/8', '2001:db8:ff::/48']) => {
  const request = { socket: { remoteAddress: peer }, headers: { 'x-forwarded-for': header } };
  return clientAddress(request as unknown as ServerRequest, createNetworks(proxies));
};

describe('the address of a client', () => {
  test.each([
    ['is that of its connection', '192.0.2.1', undefined, '192.0.2.1'],
    ['is not what a client writes', '192.0.2.1', '198.51.100.1', '192.0.2.1'],
    ['is what a proxy writes', '10.0.0.1', '198.51.100.1', '198.51.100.1'],
    ['is the last one before the proxies', '10.0.0.1', '203.0.113.9, 198.51.100.1 , 10.1.1.1', '198.51.100.1'],
    ['may be behind a proxy over IPv6', '2001:db8:ff::1', '2001:DB8::7', '2001:db8::7'],
    ['is an IPv4 address, however it is written', '::ffff:10.0.0.1', '::FFFF:198.51.100.1', '198.51.100.1'],
    ['is that of a proxy that writes nothing', '10.0.0.1', undefined, '10.0.0.1'],
    ['is that of a proxy that writes nonsense', '10.0.0.1', '198.51.100.1, unknown', '10.0.0.1'],
    ['may have a port', '10.0.0.1', '203.0.113.9, 198.51.100.1:5678', '198.51.100.1'],
    ['may have brackets', '10.0.0.1', '[2001:DB8::7]', '2001:db8::7'],
    ['may have brackets and a port', '10.0.0.1', '[2001:db8::7]:443', '2001:db8::7'],
    ['is that of a proxy if there are proxies alone', '10.0.0.1', '10.0.0.2', '10.0.0.2'],
    ['is found in a header of any length', '10.0.0.1', `${'x,'.repeat(10_000)}198.51.100.1`, '198.51.100.1'],
  ])('%s', (_what, peer, header, expected) => {
    expect(addressOf(peer, header)).toBe(expected);
  });

  test('is that of the connection without trusted proxies', () => {
    expect(addressOf('10.0.0.1', '198.51.100.1', [])).toBe('10.0.0.1');
  });
});

test('of those that come at once, each has a turn of the event loop of its own, in their order', async () => {
  const wait = createTurns();
  let turn = 0;
  const begun: { readonly index: number; readonly turn: number }[] = [];
  const ask = (from: number, count: number) =>
    Array.from({ length: count }, async (_, index) => {
      await wait();
      begun.push({ index: from + index, turn });
    });
  const asked = ask(0, 20);
  for (; turn < 10; turn += 1) await nextTurn();
  asked.push(...ask(20, 5));
  for (; begun.length < 25; turn += 1) await nextTurn();
  await Promise.all(asked);
  expect(begun.map(({ index }) => index)).toEqual([...Array(25).keys()]);
  expect(new Set(begun.map((one) => one.turn)).size).toBe(25);
  // Once none is left, the next one need not wait for long.
  turn = 0;
  const last = ask(25, 1);
  await nextTurn();
  await nextTurn();
  await Promise.all(last);
  expect(begun).toHaveLength(26);
});
