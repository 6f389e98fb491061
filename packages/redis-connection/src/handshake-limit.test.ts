import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { waitUntil } from '@sallyport/test-servers/wait-until';
import { expect, test } from 'vitest';
import { open } from '../fixtures/opened.ts';

test('a server that takes a connection and says nothing is left in seconds, however long a command may take', async () => {
  const sockets: Socket[] = [];
  // As the system takes connections for a Redis that hangs.
  const silent = createServer((socket) => sockets.push(socket.on('error', () => {})));
  await once(silent.listen(0, '127.0.0.1'), 'listening');
  try {
    const { port } = silent.address() as AddressInfo;
    const starting = open({ url: `redis://127.0.0.1:${port}`, commandTimeout: '30s' });
    const began = performance.now();
    await waitUntil(() => sockets.length > 1, 'a second try');
    console.info(`left after ${Math.round(performance.now() - began)} ms`);
    expect(performance.now() - began).toBeLessThan(5 * 2_000);
    await (await starting)[Symbol.asyncDispose]();
  } finally {
    for (const socket of sockets) socket.destroy();
    silent.close();
  }
});
