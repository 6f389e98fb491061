import type { ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { type Connection, http1Connection, http2Connection } from './connection.ts';
import type { ConnectionLimits } from './limits.ts';
import { http2Stream, type ServerAnswer, type ServerRequest } from './protocol.ts';

/** Every open connection. Node's http2 server has no closeAllConnections, nor a way to let one go after some time. */
export interface Connections {
  /** One that speaks HTTP/1.1. */
  addSocket(socket: Socket): void;
  addSession(session: ServerHttp2Session): void;
  /** Told of each request. @returns see {@link Connection.begin} */
  begin(request: ServerRequest, answer: ServerAnswer): boolean;
  /** The client of this request may not ask: see {@link Connection.restrict}. */
  restrict(request: ServerRequest): void;
  /** Whether the answer to this request is to say that its connection ends. */
  isLastAnswer(request: ServerRequest): boolean;
  /** Lets the connection of this request go, once what is under way on it has been answered. */
  retire(request: ServerRequest): void;
  retireAll(): void;
  has(socket: Socket): boolean;
  /** See {@link Connection.endUnread}. */
  endUnread(socket: Socket): boolean;
  /** Retires all, and lets those still to come end after the grace. */
  drain(): void;
  /** Cuts all, and tells how many there were. */
  destroyAll(): number;
}

/** @param maxAge milliseconds, ±10 %, after which a connection is let go; asked at each new one */
export function createConnections(limits: ConnectionLimits, maxAge: () => number): Connections {
  const open = new Map<object, Connection>();
  let draining = false;

  const endAfterGrace = (connection: Connection) => {
    const timer = setTimeout(() => connection.endWhenIdle(), limits.drainGrace).unref();
    connection.onClose(() => clearTimeout(timer));
  };
  const retire = (connection: Connection) => {
    connection.announceEnd();
    endAfterGrace(connection);
  };
  const add = (key: object, connection: Connection, onAge: () => void) => {
    open.set(key, connection);
    const age = maxAge() * (0.9 + Math.random() * 0.2);
    const timer = setTimeout(onAge, age).unref();
    connection.onClose(() => {
      clearTimeout(timer);
      open.delete(key);
    });
    // Not told to go at once: a client would never get to use a session that begins with a GOAWAY.
    if (draining) endAfterGrace(connection);
  };
  const find = (request: ServerRequest) => open.get(http2Stream(request)?.session ?? request.socket);
  const retireAll = () => {
    for (const connection of open.values()) retire(connection);
  };

  return {
    // Its next answer ends it. Until then it is not closed for its age: a request may be on its way, and its client
    // would not send it again.
    addSocket(socket) {
      const connection = http1Connection(socket, limits);
      add(socket, connection, connection.announceEnd);
      if (draining) connection.announceEnd();
    },
    addSession(session) {
      const connection = http2Connection(session, limits);
      add(session, connection, () => retire(connection));
    },
    begin: (request, answer) => find(request)?.begin(request, answer) ?? true,
    restrict: (request) => find(request)?.restrict(),
    isLastAnswer: (request) => find(request)?.isLastAnswer() ?? false,
    retire(request) {
      const connection = find(request);
      if (connection !== undefined) retire(connection);
    },
    retireAll,
    has: (socket) => open.has(socket),
    endUnread: (socket) => open.get(socket)?.endUnread() ?? false,
    drain() {
      draining = true;
      retireAll();
    },
    destroyAll() {
      const { size } = open;
      for (const connection of open.values()) connection.destroy();
      return size;
    },
  };
}
