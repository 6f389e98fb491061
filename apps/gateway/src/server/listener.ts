import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Session } from 'node:http2';
import type { Server, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Logger } from '@sallyport/authenticator';
import { createReviewApp, type ReviewDependencies } from './app.ts';
import { createClientCheck } from './client-certificate.ts';
import { answerUnreadable } from './connection-errors.ts';
import { type Connections, createConnections } from './connections.ts';
import { type Crowd, createCrowd } from './crowd.ts';
import { drain } from './drain.ts';
import { applyTls, createHttpServer } from './http-server.ts';
import { type ConnectionLimits, connectionLimits } from './limits.ts';
import { authority, listen } from './listen.ts';
import { http2Stream, type ServerRequest } from './protocol.ts';
import type { TlsMaterial } from './tls.ts';

export interface ReviewServerOptions extends ReviewDependencies {
  /** Undefined: plain HTTP, which the config allows on loopback only. */
  readonly tls?: TlsMaterial;
  readonly limits?: Partial<ConnectionLimits>;
}

/** The server that kube-apiserver calls. */
export interface ReviewServer {
  readonly url: string;
  readonly port: number;
  /**
   * New connections get it. Open ones stay, unless the client CA or names changed: they are let go then, and the names
   * hold for their very next request.
   *
   * @throws Error on a pair that does not fit, or on a plain server; what was in force stays
   */
  updateTls(material: TlsMaterial): void;
  /**
   * Stops without losing a request: goes on accepting while clients hear of it, then ends when all is answered.
   *
   * @param timeout milliseconds in all, after which connections are cut
   */
  drain(options: { readonly timeout: number }): Promise<void>;
  /** Cuts everything at once. */
  close(): Promise<void>;
}

/**
 * Listens on `server.listen`.
 *
 * @throws Error naming the address and the mend when it can't
 */
export async function startReviewServer(options: ReviewServerOptions): Promise<ReviewServer> {
  const { settings, logger } = options;
  const limits = { ...connectionLimits, ...options.limits };
  const connections = createConnections(limits, () => settings().maxConnectionAge);
  let material = options.tls;

  const newcomers = createCrowd(limits.maxNewcomers, (peer) => {
    logger.debug({ peer }, 'a connection was closed: too many wait for their first review');
  });
  const sockets = new Map<string, Socket>();
  const check = createClientCheck({
    names: () => material?.client?.names,
    onEnded: connections.retire,
    onWrongName: connections.restrict,
    logger,
    now: () => Date.now(),
  });
  const onFirst = (peer: string) => {
    const socket = sockets.get(peer);
    if (socket !== undefined) newcomers.delete(socket);
  };
  const gate = {
    admit: watchFirst(check, onFirst),
    isLastAnswer: connections.isLastAnswer,
  };
  const answer = createReviewApp(options, limits.bodyTimeout, gate).callback();
  const server = createHttpServer(material, limits, (request, response) => {
    if (!connections.begin(request, response)) return;
    void answer(request as IncomingMessage, response as ServerResponse);
  });
  const handshakes = watch(server, { sockets, newcomers, connections, logger, secure: material !== undefined });
  const { listen: address } = settings();
  const port = await listen(server, address, 'server.listen');
  const cut = () => {
    const count = connections.destroyAll();
    for (const socket of sockets.values()) socket.destroy();
    return count;
  };

  return {
    url: `${material === undefined ? 'http' : 'https'}://${authority(address.host, port)}`,
    port,
    updateTls(next) {
      if (material === undefined) throw new Error('server.tls: a server of plain HTTP needs a restart to speak TLS');
      const sameClients = isSameClient(material, next);
      applyTls(server, next);
      material = next;
      if (sameClients) return;
      connections.retireAll();
      // A handshake that began under the old CA would be finished under it, and trusted from then on.
      for (const socket of handshakes.values()) socket.destroy();
    },
    drain: ({ timeout }) => drain({ server, connections, cut, grace: limits.drainGrace, timeout, logger }),
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      cut();
      await closed;
    },
  };
}

/** @param onFirst called with the peer of each connection, at its first request that passes `check` */
function watchFirst(
  check: (request: ServerRequest) => string | undefined,
  onFirst: (peer: string) => void,
): (request: ServerRequest) => string | undefined {
  const passed = new WeakSet<object>();
  return (request) => {
    const subject = check(request);
    const connection = http2Stream(request)?.session ?? request.socket;
    if (!passed.has(connection)) {
      passed.add(connection);
      onFirst(peerOf(request.socket));
    }
    return subject;
  };
}

interface Watched {
  /** The bare ones, by their peers. */
  readonly sockets: Map<string, Socket>;
  readonly newcomers: Crowd;
  readonly connections: Connections;
  readonly logger: Logger;
  readonly secure: boolean;
}

/** The one thing that a TLS socket and the bare one below it have in common. */
function peerOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`;
}

/**
 * Follows every connection, and keeps its errors from ending the process.
 *
 * @returns by their peers those in a TLS handshake
 */
function watch(
  server: Server,
  { sockets, newcomers, connections, logger, secure }: Watched,
): ReadonlyMap<string, Socket> {
  const handshakes = new Map<string, Socket>();
  server.on('connection', (socket: Socket) => {
    const peer = peerOf(socket);
    sockets.set(peer, socket);
    newcomers.add(socket);
    if (secure) handshakes.set(peer, socket);
    else connections.addSocket(socket);
    socket.once('close', () => {
      for (const known of [sockets, handshakes]) if (known.get(peer) === socket) known.delete(peer);
    });
  });
  server.on('secureConnection', (socket: TLSSocket) => {
    handshakes.delete(peerOf(socket));
    if (socket.alpnProtocol !== 'h2') connections.addSocket(socket);
  });
  server.on('session', connections.addSession);
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    // Failed handshakes come here too.
    if (!connections.has(socket)) {
      socket.destroy();
      return;
    }
    logger.debug({ peer: socket.remoteAddress, code: error.code }, 'a request could not be read');
    if (!connections.endUnread(socket)) answerUnreadable(error, socket);
  });
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
    logger.debug({ peer: socket.remoteAddress, code: error.code }, 'a TLS handshake failed');
  });
  server.on('sessionError', (error: NodeJS.ErrnoException, session: ServerHttp2Session) => {
    logger.debug({ peer: session.socket?.remoteAddress, code: error.code }, 'an HTTP/2 connection failed');
  });
  server.on('drop', (drop?: { remoteAddress?: string }) => {
    logger.debug({ peer: drop?.remoteAddress }, 'a connection was dropped: too many are open');
  });
  return handshakes;
}

function isSameClient(one: TlsMaterial, other: TlsMaterial): boolean {
  if (one.client === undefined || other.client === undefined) return one.client === other.client;
  return one.client.ca.equals(other.client.ca) && one.client.names.join('\0') === other.client.names.join('\0');
}
