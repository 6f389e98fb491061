import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A TCP server of the test process on a free port of 127.0.0.1. Disposing it closes all its connections. */
export interface TcpServer extends AsyncDisposable {
  readonly port: number;
  /** Connections that were accepted so far. */
  readonly connections: number;
  /** Connections that are open now. */
  readonly openSockets: number;
}

export async function startTcpServer(accept: (client: Socket) => void): Promise<TcpServer> {
  const clients = new Set<Socket>();
  let connections = 0;
  const listener = createServer({ noDelay: true }, (client) => {
    connections += 1;
    clients.add(client);
    client.on('error', () => {});
    client.once('close', () => clients.delete(client));
    accept(client);
  });
  await once(listener.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (listener.address() as AddressInfo).port,
    get connections() {
      return connections;
    },
    get openSockets() {
      return clients.size;
    },
    async [Symbol.asyncDispose]() {
      const closed = once(listener, 'close');
      listener.close();
      for (const client of clients) client.destroy();
      await closed;
    },
  };
}

/** A connection of a proxy to the server behind it, which ends with that of the client, and the other way round. */
export function connectBehind(client: Socket, port: number): Socket {
  const server = connect({ port, host: '127.0.0.1', noDelay: true });
  server.on('error', () => {});
  server.once('close', () => client.destroy());
  client.once('close', () => server.destroy());
  return server;
}

/** `base` and `more` in one object, whose getters stay getters. */
export function extend<Base extends object, More extends object>(
  base: Base,
  more: More,
): Base & More {
  const properties = {
    ...Object.getOwnPropertyDescriptors(base),
    ...Object.getOwnPropertyDescriptors(more),
  };
  return Object.defineProperties({}, properties) as Base & More;
}
