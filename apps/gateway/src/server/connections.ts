import type { ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { type Connection, http1Connection, http2Connection } from './connection.ts';
import type { ConnectionLimits } from './limits.ts';

/** All open connections. Node's HTTP/2 server can neither close all of them nor one after some time. */
export interface Connections {
  /** Adds one that speaks HTTP/1.1. */
  addSocket(socket: Socket): void;
  addSession(session: ServerHttp2Session): void;
  /** @param key see `connectionOf` */
  get(key: object): Connection | undefined;
  /** Makes the client reconnect: requests in progress are answered, then the connection ends. @param key as of `get` */
  retire(key: object): void;
  retireAll(): void;
  /** Retires all, and ends later ones after the grace. */
  drain(): void;
  /** @returns how many there were */
  destroyAll(): number;
}

/** @param maxAge milliseconds, ±10 %, after which a connection is retired; read for each new one */
export function createConnections(limits: ConnectionLimits, maxAge: () => number): Connections {
  const open = new Map<object, Connection>();
  let isDraining = false;

  const endAfterGrace = (connection: Connection) => {
    const timer = setTimeout(() => connection.endWhenIdle(), limits.drainGrace).unref();
    connection.onClose(() => clearTimeout(timer));
  };
  const retire = (connection: Connection) => {
    connection.announceEnd();
    endAfterGrace(connection);
  };
  const retireAll = () => {
    for (const connection of open.values()) retire(connection);
  };
  const add = (key: object, connection: Connection, onAge: () => void) => {
    open.set(key, connection);
    const timer = setTimeout(onAge, maxAge() * (0.9 + Math.random() * 0.2)).unref();
    connection.onClose(() => {
      clearTimeout(timer);
      open.delete(key);
    });
    // The end is not announced at once: a client could never use a session that begins with a GOAWAY.
    if (isDraining) endAfterGrace(connection);
  };

  return {
    // Its next answer ends it. Until then its age does not close it: a request may be on the wire, and the client would
    // not send it again.
    addSocket(socket) {
      const connection = http1Connection(socket, limits);
      add(socket, connection, connection.announceEnd);
      if (isDraining) connection.announceEnd();
    },
    addSession(session) {
      const connection = http2Connection(session, limits);
      add(session, connection, () => retire(connection));
    },
    get: (key) => open.get(key),
    retire(key) {
      const connection = open.get(key);
      if (connection !== undefined) retire(connection);
    },
    retireAll,
    drain() {
      isDraining = true;
      retireAll();
    },
    destroyAll() {
      const { size } = open;
      for (const connection of open.values()) connection.destroy();
      return size;
    },
  };
}
