import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { Server } from '../../connection/types.ts';

export interface RawServer extends AsyncDisposable {
  readonly server: Server;
  /** Connections that ever came in. */
  readonly connections: number;
  /** When no socket is open. */
  untilClosed(): Promise<void>;
}

/** Accepts connections and leaves all else to the test: what comes in is dropped. */
export async function startRawServer(
  security: Server['security'],
  onConnection: (socket: Socket) => void = () => {},
): Promise<RawServer> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const listener = createServer((socket) => {
    connections++;
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    onConnection(socket);
    socket.resume();
  });
  await once(listener.listen(0, '127.0.0.1'), 'listening');
  const { port } = listener.address() as AddressInfo;
  return {
    server: { url: `raw://127.0.0.1:${port}`, host: '127.0.0.1', port, security },
    get connections() {
      return connections;
    },
    async untilClosed() {
      await Promise.all([...sockets].map((socket) => once(socket, 'close')));
    },
    async [Symbol.asyncDispose]() {
      const closed = once(listener, 'close');
      listener.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
