import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { spreadHandshakes } from './http-listener.ts';
import { anHour } from './testing/server.ts';

/** A server that notes what each connection began with, and in which turn of the event loop. */
async function start({ timeout = anHour, share = anHour, ends = true } = {}) {
  let turn = 0;
  const begun: { readonly text: string; readonly turn: number; readonly end: () => void }[] = [];
  const server = createServer((socket) => {
    begun.push({ text: String(socket.read()), turn, end: () => end(socket) });
    if (ends) end(socket);
  });
  const end = spreadHandshakes(server, timeout, share);
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
  const open = async (count: number, localAddress = '127.0.0.1') => {
    const before = accepted;
    const options = { port, host: '127.0.0.1', localAddress };
    const sockets = Array.from({ length: count }, () => connect(options).on('error', () => undefined));
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
    });
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    // Each is accepted in a turn of its own: what they send comes in one turn only after that.
    await until(() => accepted === before + count);
    return sockets;
  };
  /** All that can begin has begun when one of another address has: it came last, and each turn begins one. */
  const settled = async () => {
    const seen = begun.length;
    const [last] = await open(1, '127.0.0.9');
    last?.write('last');
    await until(() => begun.at(-1)?.text === 'last');
    for (let count = 0; count < 100; count++) await nextTurn();
    return begun.length - seen - 1;
  };
  return { begun, open, until, settled };
}

const write = (sockets: readonly Socket[], name = '') => {
  for (const [index, socket] of sockets.entries()) socket.write(`${name}${index}`);
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
  const { begun, open } = await start({ timeout: 20 });
  const [silent] = await open(1);
  await expect.poll(() => silent?.closed).toBe(true);
  expect(begun).toEqual([]);
});

test('of one address 8 are in progress, and the others begin when these end; another address does not wait', async () => {
  const { begun, open, until, settled } = await start({ ends: false });
  write(await open(20));
  await until(() => begun.length === 8);
  expect(await settled()).toBe(0);
  begun[0]?.end();
  begun[0]?.end();
  await until(() => begun.length === 10);
  expect(await settled()).toBe(0);
});

test('clients that leave in or before their handshake delay none of their address', async () => {
  const { begun, open, until } = await start({ ends: false });
  const first = await open(8);
  write(first);
  await until(() => begun.length === 8);
  const [leaving, others] = [await open(30), await open(8)];
  write(leaving, 'leaving ');
  write(others, 'other ');
  for (const socket of [...leaving, ...first]) socket.resetAndDestroy();
  await until(() => others.every((_, index) => begun.some(({ text }) => text === `other ${index}`)));
  expect(others.every(({ closed }) => !closed)).toBe(true);
});

test('8 that never end delay none of their address for longer than their share', async () => {
  const { begun, open } = await start({ ends: false, share: 5 });
  write(await open(20));
  await expect.poll(() => begun.length).toBe(20);
});

test('one that waits for others of its address for too long is closed', async () => {
  const { begun, open, until } = await start({ ends: false, timeout: 200 });
  const first = await open(8);
  write(first);
  await until(() => begun.length === 8);
  const [waiting] = await open(1);
  waiting?.write('9');
  await expect.poll(() => waiting?.closed).toBe(true);
  expect(begun).toHaveLength(8);
  expect(first.every(({ closed }) => !closed)).toBe(true);
});
