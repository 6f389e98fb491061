import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type FaultPlan, type FaultProxy, randomPlans, startFaultProxy } from './fault-proxy.ts';

/** Answers `0123456789` to every byte, in two writes. */
async function startTenfold(): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      for (let count = 0; count < bytes.length; count += 1) {
        socket.write('01234');
        setImmediate(() => socket.write('56789'));
      }
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

async function proxied(
  plan: FaultPlan,
): Promise<{ proxy: FaultProxy; socket: Socket; chunks: string[] }> {
  const proxy = await startFaultProxy({
    target: { host: '127.0.0.1', port: await startTenfold() },
    plan: () => plan,
  });
  onTestFinished(() => proxy[Symbol.asyncDispose]());
  const socket = connect(proxy.port, '127.0.0.1');
  const chunks: string[] = [];
  socket.on('data', (chunk) => chunks.push(String(chunk)));
  return { proxy, socket, chunks };
}

/** All bytes until the connection ends, and how it ends. */
async function untilEnd(plan: FaultPlan, request = 'x'): Promise<{ text: string; end: string }> {
  const { socket, chunks, proxy } = await proxied(plan);
  socket.on('error', () => {});
  const failed = once(socket, 'error').then(([error]) => String(error.code));
  const ended = once(socket, 'end').then(() => 'FIN');
  socket.write(request);
  const end = await Promise.race([failed, ended]);
  await proxy.untilClosed();
  return { text: chunks.join(''), end };
}

async function untilBytes(plan: FaultPlan, count: number): Promise<string[]> {
  const { socket, chunks, proxy } = await proxied(plan);
  socket.write('x');
  while (chunks.join('').length < count) await once(socket, 'data');
  expect(proxy.openSockets).toBe(1);
  socket.destroy();
  await proxy.untilClosed();
  return chunks;
}

const garbage = { kind: 'garbage', bytes: Buffer.from('#') } as const;

describe('a connection through the proxy', () => {
  test('passes', async () => {
    expect((await untilBytes({ kind: 'pass' }, 10)).join('')).toBe('0123456789');
  });

  test('comes glued', async () => {
    // The two writes of the server are one turn apart.
    expect(await untilBytes({ kind: 'glue', time: 1_000 }, 10)).toEqual(['0123456789']);
  });

  test('comes byte by byte, or late', async () => {
    expect((await untilBytes({ kind: 'split' }, 10)).join('')).toBe('0123456789');
    expect((await untilBytes({ kind: 'delay', time: 20 }, 10)).join('')).toBe('0123456789');
  });

  test('is cut in the middle of an answer', async () => {
    expect(await untilEnd({ kind: 'close', direction: 'to-client', after: 3 })).toEqual({
      text: '012',
      end: 'FIN',
    });
    expect(await untilEnd({ kind: 'reset', direction: 'to-client', after: 3 })).toMatchObject({
      end: 'ECONNRESET',
    });
    expect(await untilEnd({ kind: 'reset', direction: 'to-client', after: 0 })).toMatchObject({
      text: '',
    });
    expect(await untilEnd({ kind: 'close', direction: 'to-server', after: 1 })).toMatchObject({
      end: 'FIN',
    });
  });

  test('stalls, and stays open until the client closes it', async () => {
    expect(await untilBytes({ kind: 'stall', direction: 'to-client', after: 3 }, 3)).toEqual([
      '012',
    ]);
  });

  test('brings garbage next to the answer, or in its place', async () => {
    expect(
      (await untilBytes({ ...garbage, direction: 'to-client', after: 4, instead: false }, 11)).join(
        '',
      ),
    ).toBe('0123#456789');
    expect(
      (await untilBytes({ ...garbage, direction: 'to-client', after: 4, instead: true }, 5)).join(
        '',
      ),
    ).toBe('0123#');
    // To the server it is one more request.
    const answers = await untilBytes(
      { ...garbage, direction: 'to-server', after: 0, instead: false },
      20,
    );
    expect([...answers.join('')].sort().join('')).toBe('00112233445566778899');
  });
});

test('plans depend on the seed alone, and all kinds occur', () => {
  const many = (seed: number) => {
    const next = randomPlans({ seed, passing: 0.3, bytes: 100, time: 10 });
    return Array.from({ length: 500 }, next);
  };
  expect(many(1)).toEqual(many(1));
  expect(many(1)).not.toEqual(many(2));
  const kinds = ['close', 'delay', 'garbage', 'glue', 'pass', 'reset', 'split', 'stall'];
  expect([...new Set(many(3).map(({ kind }) => kind))].sort()).toEqual(kinds);
});
