import type { ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { afterUnlessClosed, type Connection, http1Connection, http2Connection } from './connection.ts';
import type { Transport } from './http-server.ts';
import type { ConnectionLimits } from './limits.ts';

/** All open connections. Node's HTTP/2 server can neither close all of them nor one after some time. */
export interface Connections {
  /** Adds one that speaks HTTP/1.1. */
  addSocket(socket: Socket): void;
  addSession(session: ServerHttp2Session): void;
  get(transport: Transport): Connection | undefined;
  /** Makes the client reconnect: requests in progress are answered, then the connection ends. */
  retire(transport: Transport): void;
  retireAll(): void;
  /** Retires all, and ends later ones after the grace. */
  drain(): void;
  /** @returns how many there were */
  destroyAll(): number;
}

/** @param maxAge milliseconds, ±10 %, after which a connection is retired; read for each new one */
export function createConnections(limits: ConnectionLimits, maxAge: () => number): Connections {
  const open = new Map<Transport, Connection>();
  let isDraining = false;

  const endAfterGrace = (transport: Transport, { endWhenIdle }: Connection) => {
    afterUnlessClosed(transport, limits.drainGrace, endWhenIdle);
  };
  const retire = (transport: Transport) => {
    const connection = open.get(transport);
    if (connection === undefined) return;
    connection.announceEnd();
    endAfterGrace(transport, connection);
  };
  const retireAll = () => {
    for (const transport of open.keys()) retire(transport);
  };
  const add = (transport: Transport, connection: Connection, onAge: () => void) => {
    open.set(transport, connection);
    const timer = setTimeout(onAge, maxAge() * (0.9 + Math.random() * 0.2)).unref();
    transport.once('close', () => {
      clearTimeout(timer);
      open.delete(transport);
    });
    // The end is not announced at once: a client could never use a session that begins with a GOAWAY.
    if (isDraining) endAfterGrace(transport, connection);
  };

  return {
    // Its next answer ends it. Until then its age does not close it: a request may be on the wire, and the client would
    // not send it again.
    addSocket(socket) {
      const connection = http1Connection(socket, limits);
      add(socket, connection, connection.announceEnd);
      if (isDraining) connection.announceEnd();
    },
    addSession: (session) => add(session, http2Connection(session, limits), () => retire(session)),
    get: (transport) => open.get(transport),
    retire,
    retireAll,
    drain() {
      isDraining = true;
      retireAll();
    },
    destroyAll() {
      const { size } = open;
      for (const transport of open.keys()) transport.destroy();
      return size;
    },
  };
}
