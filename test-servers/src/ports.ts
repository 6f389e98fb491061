import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type NetConnectOpts } from 'node:net';
import { networkInterfaces } from 'node:os';

/** Another process took the port after it was found free and before the server started. */
export class PortTaken extends Error {}

/** Containers often have no IPv6. */
export const hasIPv6: boolean = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ address }) => address === '::1'),
);

/** Linux takes ports above these for outgoing connections, so no client takes the port of a stopped server. */
const lowest = 15_000;
const highest = 32_000;

/** A port that is free on all loopback addresses, for servers that can't bind port 0. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(lowest, highest);
    if ((await canBind(port, '127.0.0.1')) && (!hasIPv6 || (await canBind(port, '::1')))) return port;
  }
}

async function canBind(port: number, host: string): Promise<boolean> {
  const server = createServer();
  try {
    await once(server.listen(port, host), 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
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

/** Tries again, with other ports, when another process took a port first. */
export async function withFreePorts<Started>(start: () => Promise<Started>): Promise<Started> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await start();
    } catch (error) {
      if (!(error instanceof PortTaken) || attempt === 5) throw error;
    }
  }
}
