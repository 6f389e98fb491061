import type { Server } from 'node:net';
import type { Logger } from '@sallyport/authenticator';
import type { Connections } from './connections.ts';

interface Drain {
  readonly server: Server;
  readonly connections: Connections;
  /** Closes all connections that are still open. @returns how many */
  readonly closeAll: () => number;
  /** Milliseconds: see `ConnectionLimits.drainGrace`. */
  readonly grace: number;
  /** Milliseconds in all. */
  readonly timeout: number;
  readonly logger: Logger;
}

/**
 * Ends a server without losing a request. HTTP/1.1 answers say `Connection: close`, HTTP/2 sessions get a GOAWAY that
 * excludes no stream, and the server accepts connections for the grace. Then it stops listening, and waits for the
 * requests that are in progress.
 */
export async function drain({ server, connections, closeAll, grace, timeout, logger }: Drain): Promise<void> {
  const timers: NodeJS.Timeout[] = [];
  const after = (milliseconds: number) =>
    new Promise<'late'>((resolve) => {
      timers.push(setTimeout(resolve, milliseconds, 'late'));
    });
  const late = after(timeout);
  connections.drain();
  await Promise.race([after(grace), late]);
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  if ((await Promise.race([closed, late])) === 'late') {
    const fields = { connections: closeAll(), timeout };
    logger.warn(fields, 'connections closed: their requests took longer than server.drainTimeout');
    await closed;
  }
  for (const timer of timers) clearTimeout(timer);
}
