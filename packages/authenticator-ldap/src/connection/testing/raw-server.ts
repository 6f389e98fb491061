import type { Socket } from 'node:net';
import { startTcpServer, type TcpServer } from '@sallyport/test-servers/tcp-server';
import { expect } from 'vitest';
import type { Server } from '../types.ts';

export interface RawServer extends AsyncDisposable, Pick<TcpServer, 'connections'> {
  readonly server: Server;
  /** Waits until no socket is open. */
  untilClosed(): Promise<void>;
}

/** Accepts connections, drops what comes in, and leaves all else to the test. */
export async function startRawServer(
  security: Server['security'],
  onConnection: (socket: Socket) => void,
): Promise<RawServer> {
  const raw = await startTcpServer((socket) => {
    onConnection(socket);
    socket.resume();
  });
  const { port } = raw;
  return {
    server: { url: `raw://127.0.0.1:${port}`, host: '127.0.0.1', port, security },
    get connections() {
      return raw.connections;
    },
    untilClosed: () => expect.poll(() => raw.openSockets).toBe(0),
    [Symbol.asyncDispose]: () => raw[Symbol.asyncDispose](),
  };
}
