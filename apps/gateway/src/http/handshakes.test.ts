import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { anHour } from '../testing/server.ts';
import { spreadHandshakes } from './handshakes.ts';

/** Makes a TLS record with a ClientHello, which has this text instead of what a client says. */
function hello(text: string): Buffer {
  const header = Buffer.from([22, 3, 1, 0, 4 + text.length, 1, 0, 0, text.length]);
  return Buffer.concat([header, Buffer.from(text)]);
}

/** A server that notes what each connection began with, and in which turn of the event loop. */
async function start({ timeout = anHour, share = anHour, ends = true, most = 1_000 } = {}) {
  let turn = 0;
  const begun: { readonly text: string; readonly turn: number; readonly end: () => void }[] = [];
  const server = createServer((socket) => {
    begun.push({ text: String(socket.read().subarray(9)), turn, end: () => end(socket) });
    if (ends) end(socket);
  });
  const refused: string[] = [];
  server.on('tlsClientError', ({ message }: Error) => refused.push(message));
  const end = spreadHandshakes(server, timeout, {
    perAddress: 8,
    addressTime: share,
    inProgress: most,
  });
  let accepted = 0;
  server.on('connection', () => {
    accepted += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  let isOver = false;
  onTestFinished(() => {
    isOver = true;
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const until = async (isDone: () => boolean) => {
    while (!isDone() && !isOver) {
      await nextTurn();
      turn += 1;
    }
  };
  const open = async (count: number, localAddress = '127.0.0.1') => {
    const before = accepted;
    const options = { port, host: '127.0.0.1', localAddress };
    const sockets = Array.from({ length: count }, () =>
      connect(options).on('error', () => undefined),
    );
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
    });
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    // Each is accepted in a turn of its own. What they send comes in one turn only after that.
    await until(() => accepted === before + count);
    return sockets;
  };
  /**
   * Waits until all that can begin has begun: one of another address has, which came last, and each turn begins one.
   */
  const settled = async () => {
    const seen = begun.length;
    const [last] = await open(1, '127.0.0.9');
    last?.write(hello('last'));
    await until(() => begun.at(-1)?.text === 'last');
    for (let count = 0; count < 100; count++) await nextTurn();
    return begun.length - seen - 1;
  };
  return { begun, refused, open, until, settled };
}

const write = (sockets: readonly Socket[], name = '') => {
  for (const [index, socket] of sockets.entries()) socket.write(hello(`${name}${index}`));
};

test('connections whose first bytes come together begin one after the other, with these bytes', async () => {
  const { begun, open, until } = await start();
  const sockets = await open(20);
  write(sockets);
  await until(() => begun.length === sockets.length);
  expect(begun.map(({ text }) => Number(text)).sort((one, other) => one - other)).toEqual([
    ...sockets.keys(),
  ]);
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
  await until(() =>
    others.every((_, index) => begun.some(({ text }) => text === `other ${index}`)),
  );
  expect(others.every(({ closed }) => !closed)).toBe(true);
});

test('8 that never end delay none of their address for longer than their share', async () => {
  const { begun, open } = await start({ ends: false, share: 5 });
  write(await open(20));
  await expect.poll(() => begun.length).toBe(20);
});

test('one that waits for others of its address for too long is closed', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const { begun, open, until, settled } = await start({ ends: false, timeout: 200 });
  const first = await open(8);
  write(first);
  await until(() => begun.length === 8);
  const [waiting] = await open(1);
  waiting?.write(hello('9'));
  expect(await settled()).toBe(0);
  vi.advanceTimersByTime(199);
  expect(await settled()).toBe(0);
  expect(waiting?.closed).toBe(false);
  vi.advanceTimersByTime(1);
  await expect.poll(() => waiting?.closed).toBe(true);
  expect(begun.filter(({ text }) => text !== 'last')).toHaveLength(8);
  expect(first.every(({ closed }) => !closed)).toBe(true);
});

test('none begins before the whole ClientHello is there, whose bytes TLS gets', async () => {
  const { begun, open, until, settled } = await start();
  const [early] = await open(1);
  const bytes = hello('in pieces');
  for (const at of bytes.subarray(0, -1).keys()) {
    early?.write(bytes.subarray(at, at + 1));
    if ([0, 5, bytes.length - 2].includes(at)) expect(await settled()).toBe(0);
  }
  early?.write(bytes.subarray(-1));
  await until(() => begun.at(-1)?.text === 'in pieces');
});

test('one that keeps its ClientHello back is closed in time, however often it sends a byte', async () => {
  const { begun, open } = await start({ timeout: 100 });
  const [slow] = await open(1);
  slow?.write(hello('a'.repeat(200)).subarray(0, 9));
  const sendMore = () => {
    slow?.write('a');
    return slow?.closed;
  };
  await expect.poll(sendMore, { interval: 10 }).toBe(true);
  expect(begun).toEqual([]);
});

test.each([
  { problem: 'this is not TLS', bytes: Buffer.from('GET / HTTP/1.1') },
  {
    problem: 'the first TLS record is not a ClientHello',
    bytes: Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 0]),
  },
  {
    problem: 'the first TLS record has an impossible length',
    bytes: Buffer.from([22, 3, 1, 0x40, 1, 1, 0, 0, 1]),
  },
  {
    problem: 'the first TLS record has an impossible length',
    bytes: Buffer.from([22, 3, 1, 0, 3, 1, 0, 0, 0]),
  },
  {
    problem: 'the ClientHello is longer than its TLS record',
    bytes: Buffer.from([22, 3, 1, 0, 8, 1, 2, 0, 0, 0, 0, 0, 0]),
  },
])('"$problem": such a connection is closed, and TLS never sees it', async ({ problem, bytes }) => {
  const { begun, refused, open } = await start();
  const [socket] = await open(1);
  socket?.write(bytes);
  await expect.poll(() => socket?.closed).toBe(true);
  expect([refused, begun]).toEqual([[problem], []]);
});

test('all handshakes in progress have a limit, and one more ends the oldest of the address that has the most', async () => {
  const { begun, open, until } = await start({ ends: false, most: 10 });
  const [many, few] = [await open(8, '127.0.0.3'), await open(2, '127.0.0.4')];
  write([...many, ...few]);
  await until(() => begun.length === 10);
  const [later] = await open(1, '127.0.0.5');
  later?.write(hello('later'));
  await until(() => begun.at(-1)?.text === 'later');
  await expect.poll(() => many.filter(({ closed }) => closed).length).toBe(1);
  expect([...few, later].map((socket) => socket?.closed)).toEqual([false, false, false]);
});
