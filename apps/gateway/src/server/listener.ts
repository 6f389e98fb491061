import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Session } from 'node:http2';
import type { Server, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Logger } from '@sallyport/authenticator';
import { createReviewApp, type ReviewDependencies } from './app.ts';
import { createClientCheck } from './client-certificate.ts';
import { answerUnreadable } from './connection-errors.ts';
import { type Connections, createConnections } from './connections.ts';
import { drain } from './drain.ts';
import { applyTls, createHttpServer } from './http-server.ts';
import { type ConnectionLimits, connectionLimits } from './limits.ts';
import { authority, listen } from './listen.ts';
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

  const gate = {
    admit: createClientCheck({
      names: () => material?.client?.names,
      onEnded: connections.retire,
      logger,
      now: () => Date.now(),
    }),
    isLastAnswer: connections.isLastAnswer,
  };
  const answer = createReviewApp(options, limits.bodyTimeout, gate).callback();
  const server = createHttpServer(material, limits, (request, response) => {
    connections.begin(request, response);
    void answer(request as IncomingMessage, response as ServerResponse);
  });
  const { sockets, handshakes } = watch(server, connections, logger, material !== undefined);
  const { listen: address } = settings();
  const port = await listen(server, address, 'server.listen');
  const cut = () => {
    const count = connections.destroyAll();
    for (const socket of sockets) socket.destroy();
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

/**
 * Follows every connection, and keeps its errors from ending the process.
 *
 * @returns the bare sockets, and by their peers those in a TLS handshake
 */
function watch(
  server: Server,
  connections: Connections,
  logger: Logger,
  secure: boolean,
): { readonly sockets: ReadonlySet<Socket>; readonly handshakes: ReadonlyMap<string, Socket> } {
  const sockets = new Set<Socket>();
  const handshakes = new Map<string, Socket>();
  // The one thing that a TLS socket and the bare one below it have in common.
  const peerOf = (socket: Socket) => `${socket.remoteAddress} ${socket.remotePort}`;
  server.on('connection', (socket: Socket) => {
    const peer = peerOf(socket);
    sockets.add(socket);
    if (secure) handshakes.set(peer, socket);
    else connections.addSocket(socket);
    socket.once('close', () => {
      sockets.delete(socket);
      if (handshakes.get(peer) === socket) handshakes.delete(peer);
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
  return { sockets, handshakes };
}

function isSameClient(one: TlsMaterial, other: TlsMaterial): boolean {
  if (one.client === undefined || other.client === undefined) return one.client === other.client;
  return one.client.ca.equals(other.client.ca) && one.client.names.join('\0') === other.client.names.join('\0');
}
