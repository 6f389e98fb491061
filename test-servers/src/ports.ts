import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { networkInterfaces } from 'node:os';

/** A port was taken by somebody else between the look for a free one and the start of the server. */
export class PortTaken extends Error {}

/** Docker's networks, for one, often have no IPv6. */
export const hasIPv6: boolean = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ address }) => address === '::1'),
);

/** Below those that Linux gives to outgoing connections, so that no client takes the port of a stopped server. */
const lowest = 15_000;
const highest = 32_000;

/** A port that is free on all loopback addresses, for servers that can't be told to bind port 0. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(lowest, highest);
    if ((await canBind(port, '127.0.0.1')) && (!hasIPv6 || (await canBind(port, '::1')))) {
      return port;
    }
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

export async function accepts(port: number, host = '127.0.0.1'): Promise<boolean> {
  const socket = connect(port, host);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** Starts again, with ports of its own, when another took a port first. */
export async function withFreePorts<Started>(start: () => Promise<Started>): Promise<Started> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await start();
    } catch (error) {
      if (!(error instanceof PortTaken) || attempt === 5) {
        throw error;
      }
    }
  }
}
