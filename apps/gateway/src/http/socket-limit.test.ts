import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { createSocketLimit, nameNetwork } from './socket-limit.ts';

interface TestSocket extends EventEmitter {
  readonly remoteAddress: string | undefined;
  destroyed: boolean;
}

function socketFrom(remoteAddress: string | undefined): Socket & TestSocket {
  const socket = Object.assign(new EventEmitter(), {
    remoteAddress,
    destroyed: false,
    destroy() {
      socket.destroyed = true;
      socket.emit('close');
    },
  });
  return socket as unknown as Socket & TestSocket;
}

describe('a socket limit', () => {
  test('beyond it, the oldest socket of the address with the most is closed', () => {
    const onClosed = vi.fn();
    const limited = createSocketLimit(4, onClosed);
    const sockets = ['a', 'b', 'b', 'b', 'a'].map(socketFrom);
    for (const socket of sockets) limited.add(socket);
    expect(sockets.map(({ destroyed }) => destroyed)).toEqual([false, true, false, false, false]);
    expect(onClosed.mock.calls).toEqual([['b']]);
  });

  test('addresses of one /64 count as one', () => {
    const limited = createSocketLimit(3, () => undefined);
    const sockets = ['192.0.2.1', '2001:db8::1', '2001:db8::2', '::ffff:192.0.2.2'].map(socketFrom);
    for (const socket of sockets) limited.add(socket);
    expect(sockets.map(({ destroyed }) => destroyed)).toEqual([false, true, false, false]);
  });

  test('of addresses with equally many, the one that came first loses its oldest', () => {
    const limited = createSocketLimit(2, () => undefined);
    const sockets = ['a', 'b', 'c'].map(socketFrom);
    for (const socket of sockets) limited.add(socket);
    expect(sockets.map(({ destroyed }) => destroyed)).toEqual([true, false, false]);
  });

  test('a socket that was removed, or has closed, is not counted and not closed', () => {
    const limited = createSocketLimit(2, () => undefined);
    const [trusted, gone, third, fourth] = ['a', 'a', 'a', undefined].map(socketFrom);
    for (const socket of [trusted, gone]) if (socket) limited.add(socket);
    if (trusted) limited.delete(trusted);
    gone?.emit('close');
    for (const socket of [third, fourth]) if (socket) limited.add(socket);
    expect([trusted, gone, third, fourth].map((socket) => socket?.destroyed)).toEqual([
      false,
      false,
      false,
      false,
    ]);
  });

  test('is never exceeded, and an address with no more than its fair share loses nothing', () => {
    const address = fc.constantFrom('a', 'b', 'c', 'd');
    fc.assert(
      fc.property(
        fc.integer({ min: 4, max: 12 }),
        fc.array(address, { maxLength: 100 }),
        (limit, addresses) => {
          const limited = createSocketLimit(limit, () => undefined);
          const sockets = addresses.map(socketFrom);
          for (const [index, socket] of sockets.entries()) {
            limited.add(socket);
            expect(
              sockets.slice(0, index + 1).filter(({ destroyed }) => !destroyed).length,
            ).toBeLessThanOrEqual(limit);
            expect(socket.destroyed).toBe(false);
          }
          for (const one of new Set(addresses)) {
            const own = sockets.filter(({ remoteAddress }) => remoteAddress === one);
            if (own.length <= limit / 4) expect(own.some(({ destroyed }) => destroyed)).toBe(false);
          }
        },
      ),
    );
  });
});

test.each([
  { address: '192.0.2.1', network: '192.0.2.1' },
  { address: '2001:db8:1:2:3:4:5:6', network: '2001:db8:1:2::/64' },
  { address: '2001:db8:1:2::6', network: '2001:db8:1:2::/64' },
  { address: '2001:db8::6', network: '2001:db8:0:0::/64' },
  { address: '::1', network: '0:0:0:0::/64' },
  { address: '::ffff:192.0.2.1', network: '192.0.2.1' },
  { address: 'fe80::1%eth0', network: 'fe80:0:0:0::/64' },
  { address: '', network: '' },
])('$address counts as $network', ({ address, network }) => {
  expect(nameNetwork(address)).toBe(network);
});
