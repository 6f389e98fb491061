import type { Server, Socket } from 'node:net';

/**
 * Begins at most one TLS handshake in a turn of the event loop, in the order in which clients began them. One turn can bring the first bytes of
 * 500 connections, and their handshakes, a millisecond each, would make all other clients of the process wait.
 *
 * @param server over TLS, to which no one else has added a listener of `connection` yet
 * @param timeout milliseconds, for the first bytes of a connection
 */
export function spreadHandshakes(server: Server, timeout: number): void {
  const begin = server.listeners('connection') as readonly ((this: Server, socket: Socket) => void)[];
  server.removeAllListeners('connection');
  const waiting = new Set<Socket>();
  let isPlanned = false;
  const plan = () => {
    if (isPlanned || waiting.size === 0) return;
    isPlanned = true;
    setImmediate(() => {
      isPlanned = false;
      const [socket] = waiting;
      if (socket === undefined) return;
      waiting.delete(socket);
      plan();
      for (const each of begin) each.call(server, socket);
    });
  };
  server.on('connection', (socket: Socket) => {
    socket.setTimeout(timeout, () => socket.destroy());
    // TLS takes these bytes from the socket when it begins.
    socket.once('readable', () => {
      socket.setTimeout(0);
      waiting.add(socket);
      plan();
    });
    // A client may leave before its handshake has begun. From then on, TLS reports its errors.
    socket.on('error', () => socket.destroy());
    socket.once('close', () => waiting.delete(socket));
  });
}
