import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { recordingContext } from '@sallyport/authenticator/conformance';
import { errorOf } from '@sallyport/test-servers/error-of';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { expect, test } from 'vitest';
import { connect } from './connection.ts';
import { closed, closedUnanswered, noHandshake } from './problems.ts';
import { open, wording } from './testing/opened.ts';
import { settled } from './testing/written-options.ts';

/** A peer that is not a Redis. It waits for the first bytes of each connection, and then calls `onBytes`. */
async function listen(place: string | number, onBytes: (socket: Socket) => void) {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    socket.once('data', () => onBytes(socket));
  });
  await once(
    typeof place === 'string' ? server.listen(place) : server.listen(place, '127.0.0.1'),
    'listening',
  );
  return {
    port: typeof place === 'string' ? 0 : (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test('a command during the TLS handshake of the first attempt says that there is no answer to it', async () => {
  const caller = new AbortController();
  await using peer = await listen(0, () => caller.abort());
  const { context } = recordingContext({ pluginName: 'redis', baseDirectory: '/' });
  const url = `rediss://127.0.0.1:${peer.port}`;
  const options = settled({ url, commandTimeout: '30s' });
  const connection = await connect(options, wording, { ...context, signal: caller.signal });
  const { message } = await errorOf(connection.run((client) => client.get('key'), undefined));
  await connection.close();
  expect(message).toBe(`${url}: not connected: ${noHandshake.problem}`);
});

test('a peer that ends a connection in clear before it answers may be one for TLS, but not at a socket', async () => {
  const end = (socket: Socket) => void socket.end();
  await using folder = await temporaryFolder('unanswered');
  const path = join(folder.path, 'socket');
  await using onPort = await listen(0, end);
  await using _onPath = await listen(path, end);
  for (const [url, problem] of [
    [`redis://127.0.0.1:${onPort.port}`, `not connected: ${closedUnanswered.problem}`],
    [`unix:${path}`, closed.problem],
  ] as const) {
    await using started = await open({ url });
    const messages: string[] = [];
    await waitFor(async () => {
      messages.push((await errorOf(started.read('key'))).message);
      return messages.at(-1) === `${url}: ${problem}`;
    }, problem);
    expect(messages.some((message) => message.includes('tls-port'))).toBe(url !== `unix:${path}`);
  }
});
