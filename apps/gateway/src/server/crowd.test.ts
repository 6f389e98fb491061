import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { createCrowd } from './crowd.ts';

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

describe('a crowd', () => {
  test('over the limit the oldest of the address with the most is closed', () => {
    const onClosed = vi.fn();
    const crowd = createCrowd(4, onClosed);
    const sockets = ['a', 'b', 'b', 'b', 'a'].map(socketFrom);
    for (const socket of sockets) crowd.add(socket);
    expect(sockets.map(({ destroyed }) => destroyed)).toEqual([false, true, false, false, false]);
    expect(onClosed.mock.calls).toEqual([['b']]);
  });

  test('of addresses with as many, the one that came first loses its oldest', () => {
    const crowd = createCrowd(2, () => undefined);
    const sockets = ['a', 'b', 'c'].map(socketFrom);
    for (const socket of sockets) crowd.add(socket);
    expect(sockets.map(({ destroyed }) => destroyed)).toEqual([true, false, false]);
  });

  test('who was taken out, or has closed, is not counted and not closed', () => {
    const crowd = createCrowd(2, () => undefined);
    const [trusted, gone, third, fourth] = ['a', 'a', 'a', undefined].map(socketFrom);
    for (const socket of [trusted, gone]) if (socket) crowd.add(socket);
    if (trusted) crowd.delete(trusted);
    gone?.emit('close');
    for (const socket of [third, fourth]) if (socket) crowd.add(socket);
    expect([trusted, gone, third, fourth].map((socket) => socket?.destroyed)).toEqual([false, false, false, false]);
  });

  test('holds no more than its limit, and whoever has no more than a fair share loses nothing', () => {
    const address = fc.constantFrom('a', 'b', 'c', 'd');
    fc.assert(
      fc.property(fc.integer({ min: 4, max: 12 }), fc.array(address, { maxLength: 100 }), (limit, addresses) => {
        const crowd = createCrowd(limit, () => undefined);
        const sockets = addresses.map(socketFrom);
        for (const [index, socket] of sockets.entries()) {
          crowd.add(socket);
          expect(sockets.slice(0, index + 1).filter(({ destroyed }) => !destroyed).length).toBeLessThanOrEqual(limit);
          expect(socket.destroyed).toBe(false);
        }
        for (const one of new Set(addresses)) {
          const own = sockets.filter(({ remoteAddress }) => remoteAddress === one);
          if (own.length <= limit / 4) expect(own.some(({ destroyed }) => destroyed)).toBe(false);
        }
      }),
    );
  });
});
