import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import {
  connect,
  createServer,
  type ListenOptions,
  type NetConnectOpts,
  type Server,
} from 'node:net';
import { networkInterfaces } from 'node:os';

/** Containers often have no IPv6. */
export const hasIPv6: boolean = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ address }) => address === '::1'),
);

/** Linux takes ports above these for outgoing connections, so no client takes the port of a stopped server. */
const minPort = 15_000;
const maxPort = 32_000;

/**
 * Finds a port that is free on all loopback addresses, for servers that can't bind port 0. No other call in any process returns
 * it while this process lives: its server may start much later, or stop and start again.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(minPort, maxPort);
    // A name of unix(7) that is in no file system, and ends with the process.
    const reservation = await bind({ path: `\0sallyport test port ${port}` });
    if (reservation === undefined) continue;
    if ((await canBind(port, '127.0.0.1')) && (!hasIPv6 || (await canBind(port, '::1'))))
      return port;
    reservation.close();
  }
}

async function canBind(port: number, host: string): Promise<boolean> {
  const server = await bind({ port, host });
  server?.close();
  return server !== undefined;
}

async function bind(where: ListenOptions): Promise<Server | undefined> {
  const server = createServer().unref();
  try {
    await once(server.listen(where), 'listening');
    return server;
  } catch {
    return undefined;
  }
}

export function accepts(port: number, host = '127.0.0.1'): Promise<boolean> {
  return reaches({ port, host });
}

/** Whether a server accepts there, on a port or a Unix socket. */
export async function reaches(where: NetConnectOpts): Promise<boolean> {
  const socket = connect(where);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
