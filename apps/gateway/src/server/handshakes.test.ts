import { createServer, Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { spreadHandshakes } from './handshakes.ts';

/** A server that notes which connections began, and in which turn of the event loop. */
function start() {
  let turn = 0;
  const begun: { readonly socket: Socket; readonly turn: number }[] = [];
  const server = createServer((socket) => begun.push({ socket, turn }));
  spreadHandshakes(server);
  const accept = (count: number) => {
    const sockets = Array.from({ length: count }, () => new Socket());
    for (const socket of sockets) server.emit('connection', socket);
    return sockets;
  };
  const turns = async (count: number) => {
    for (let done = 0; done < count; done += 1) {
      await nextTurn();
      turn += 1;
    }
  };
  return { begun, accept, turns };
}

test('connections that came at once begin one after the other, in their order', async () => {
  const { begun, accept, turns } = start();
  const sockets = accept(20);
  expect(begun).toEqual([]);
  await turns(10);
  const later = accept(3);
  await turns(20);
  expect(begun.map(({ socket }) => socket)).toEqual([...sockets, ...later]);
  expect(new Set(begun.map(({ turn }) => turn)).size).toBe(begun.length);
});

test('one that has gone before its turn does not begin, and delays no other', async () => {
  const { begun, accept, turns } = start();
  const [first, gone, broken, last] = accept(4);
  gone?.destroy();
  broken?.emit('error', new Error('ECONNRESET'));
  await turns(6);
  expect(begun.map(({ socket }) => socket)).toEqual([first, last]);
  expect(broken?.destroyed).toBe(true);
  accept(1)[0]?.destroy();
  const [next] = accept(1);
  await turns(3);
  expect(begun.at(-1)?.socket).toBe(next);
});
