import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { spreadHandshakes } from './http-listener.ts';

/** A server that notes what each connection began with, and in which turn of the event loop. */
async function start(timeout = 10_000) {
  let turn = 0;
  const begun: { readonly text: string; readonly turn: number }[] = [];
  const server = createServer((socket) => begun.push({ text: String(socket.read()), turn }));
  spreadHandshakes(server, timeout);
  let accepted = 0;
  server.on('connection', () => {
    accepted += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const until = async (isDone: () => boolean) => {
    while (!isDone()) {
      await nextTurn();
      turn += 1;
    }
  };
  const open = async (count: number) => {
    const sockets = Array.from({ length: count }, () => connect(port, '127.0.0.1').on('error', () => undefined));
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
    });
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    // Each is accepted in a turn of its own: what they send comes in one turn only after that.
    await until(() => accepted === count);
    return sockets;
  };
  return { begun, open, until };
}

const write = (sockets: readonly Socket[]) => {
  for (const [index, socket] of sockets.entries()) socket.write(`${index}`);
};

test('connections whose first bytes come at once begin one after the other, with these bytes', async () => {
  const { begun, open, until } = await start();
  const sockets = await open(20);
  write(sockets);
  await until(() => begun.length === sockets.length);
  expect(begun.map(({ text }) => Number(text)).sort((one, other) => one - other)).toEqual([...sockets.keys()]);
  expect(new Set(begun.map(({ turn }) => turn)).size).toBe(sockets.length);
});

test('one that sends nothing or breaks delays no other', async () => {
  const { begun, open, until } = await start();
  const [, broken, ...others] = await open(6);
  broken?.resetAndDestroy();
  write(others);
  await until(() => begun.length === others.length);
  expect(begun.length).toBe(others.length);
});

test('one that sends nothing is closed in time', async () => {
  const { begun, open } = await start(20);
  const [silent] = await open(1);
  await expect.poll(() => silent?.closed).toBe(true);
  expect(begun).toEqual([]);
});
