import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Session } from 'node:http2';
import type { Server, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Logger } from '@sallyport/authenticator';
import { pause } from '../base/deadlines.ts';
import type { ListenAddress } from '../config/types.ts';
import { answerUnreadable, answerWithoutHost, plainHttp } from './answer-errors.ts';
import { type Connections, createConnections } from './connections.ts';
import { createHandshakeReport } from './failed-handshakes.ts';
import { type HandshakeLimits, spreadHandshakes } from './handshakes.ts';
import {
  applyTls,
  authority,
  createHttpServer,
  findTransport,
  isClosed,
  lacksHost,
  listen,
  type ServerRequest,
} from './http-server.ts';
import type { StatusCode } from './kubernetes-status.ts';
import { type ConnectionLimits, connectionLimits } from './limits.ts';
import type { IdentifyRefused } from './refused-clients.ts';
import { createSocketLimit } from './socket-limit.ts';
import type { TlsMaterial } from './tls.ts';

interface HttpListenerOptions {
  readonly address: ListenAddress;
  /** The key of the address in the config, for messages. */
  readonly setting: string;
  /** TLS of new connections. It is undefined for plain HTTP, which the config allows on loopback only. */
  readonly tls: TlsMaterial | undefined;
  readonly limits?: Partial<ConnectionLimits> | undefined;
  /** Milliseconds, read for each new connection. */
  readonly maxConnectionAge: () => number;
  /** The requests over HTTP/2 that may always be in progress, whatever `maxRequests` of the limits is. Default 0. */
  readonly neededRequests?: () => number;
  readonly logger: Logger;
  /** Names the new connections whose requests will all be refused. By default, there are none. */
  readonly identifyRefused?: IdentifyRefused | undefined;
  /** TLS handshakes take turns within these limits: see {@link spreadHandshakes}. By default, they do not. */
  readonly handshakeLimits?: HandshakeLimits | undefined;
  readonly createApp: (
    connections: ConnectionAccess,
    limits: ConnectionLimits,
  ) => { callback(): (request: IncomingMessage, response: ServerResponse) => unknown };
  /** Makes the body of an answer to what Node could not parse. It is a v1 `Status` by default. */
  readonly unreadableBody?: ((code: StatusCode, message: string) => object) | undefined;
}

/** Listens, over HTTP/1.1 and HTTP/2, with all connections bounded. @throws Error naming the address and how to fix it */
export async function startHttpListener(options: HttpListenerOptions) {
  const { address, setting, tls, logger } = options;
  const limits = { ...connectionLimits, ...options.limits };
  const maxRequests = () => Math.max(limits.maxRequests, options.neededRequests?.() ?? 0);
  const { identifyRefused = () => undefined } = options;
  const connections = createConnections(
    limits,
    options.maxConnectionAge,
    maxRequests,
    identifyRefused,
  );
  const server = createHttpServer(tls, limits, (request, response) => {
    if (isClosed(response) || access.find(request)?.begin(request, response) === false) return;
    if (lacksHost(request)) answerWithoutHost(response as ServerResponse, options.unreadableBody);
    else void answer(request as IncomingMessage, response as ServerResponse);
  });
  const endHandshake =
    tls && options.handshakeLimits
      ? spreadHandshakes(server, limits.handshakeTimeout, options.handshakeLimits)
      : () => undefined;
  const sockets = followSockets(server, connections, limits, options, endHandshake);
  handleErrors(server, connections, options);
  const access = accessTo(connections, sockets.admit);
  const answer = options.createApp(access, limits).callback();
  const port = await listen(server, address, setting);
  return {
    url: `${tls ? 'https' : 'http'}://${authority(address.host, port)}`,
    port,
    /**
     * Sets TLS for new connections.
     *
     * @param isStrict whether open connections are retired, and handshakes in progress ended
     * @throws Error if the certificate and key do not fit; what was in force stays
     */
    setTls(material: TlsMaterial, isStrict: boolean): void {
      applyTls(server, material);
      if (!isStrict) return;
      connections.retireAll();
      sockets.destroyHandshakes();
    },
    drain: (bounds: { readonly timeout: number }) => {
      return drain(server, connections, sockets.destroyAll, {
        ...bounds,
        grace: limits.drainGrace,
        logger,
      });
    },
    /** Closes everything immediately. */
    async close(): Promise<void> {
      const closed = closing(server);
      sockets.destroyAll();
      await closed;
    },
  };
}

/** The actions of an app on the connection of a request. */
export type ConnectionAccess = ReturnType<typeof accessTo>;

function accessTo(connections: Connections, admit: (socket: Socket) => void) {
  const admitted = new WeakSet<object>();
  const find = (request: ServerRequest) => connections.get(findTransport(request));
  return {
    find,
    /** Makes the client reconnect. */
    retire: (request: ServerRequest) => connections.retire(findTransport(request)),
    /** Counts the connection no longer as new: see `ConnectionLimits.maxNewConnections`. */
    admit(request: ServerRequest) {
      const transport = findTransport(request);
      if (admitted.has(transport)) return;
      admitted.add(transport);
      admit(request.socket);
    },
    /** Whether an answer over HTTP/1.1 must announce the end of its connection. */
    isLastAnswer: (request: ServerRequest) => find(request)?.isLastAnswer() ?? false,
  };
}

/** Follows every TCP socket from the start: over TLS, Node's server shows it only when its handshake has ended. */
function followSockets(
  server: Server,
  connections: Connections,
  { maxNewConnections }: ConnectionLimits,
  { tls, logger }: HttpListenerOptions,
  endHandshake: (socket: Socket) => void,
) {
  // The keys are addresses, the one thing that a TLS socket and the TCP socket below it have in common.
  const sockets = new Map<string, Socket>();
  const nameEnds = ({ remoteAddress, remotePort, localAddress }: Socket) =>
    `${remoteAddress} ${remotePort} ${localAddress}`;
  const handshakes = new Set<Socket | undefined>();
  const newConnections = createSocketLimit(maxNewConnections, (peer) => {
    logger.debug({ peer }, 'connection closed: too many connections wait for their first review');
  });
  server.on('connection', (socket: Socket) => {
    const ends = nameEnds(socket);
    sockets.set(ends, socket);
    newConnections.add(socket);
    if (tls) handshakes.add(socket);
    else connections.addSocket(socket);
    socket.once('close', () => {
      handshakes.delete(socket);
      if (sockets.get(ends) === socket) sockets.delete(ends);
    });
  });
  server.on('secureConnection', (socket: TLSSocket) => {
    const below = sockets.get(nameEnds(socket));
    handshakes.delete(below);
    if (below) endHandshake(below);
    if (socket.alpnProtocol !== 'h2') connections.addSocket(socket);
  });
  server.on('session', connections.addSession);
  return {
    admit(socket: Socket) {
      const tcpSocket = sockets.get(nameEnds(socket));
      if (tcpSocket !== undefined) newConnections.delete(tcpSocket);
    },
    /** @returns how many connections were open; sockets whose TLS handshake has not ended do not count */
    destroyAll(): number {
      const { size } = connections;
      for (const socket of sockets.values()) socket.destroy();
      return size;
    },
    /** A handshake that began under the old CA would end under it, and its client would be trusted from then on. */
    destroyHandshakes() {
      for (const socket of handshakes) socket?.destroy();
    },
  };
}

/** Keeps the errors of connections from ending the process. */
function handleErrors(
  server: Server,
  connections: Connections,
  options: HttpListenerOptions,
): void {
  const { logger, unreadableBody } = options;
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    const connection = connections.get(socket);
    // A failed handshake is reported here, too, before `tlsClientError`, whose listener answers plain HTTP.
    if (connection === undefined) {
      if (error.code !== plainHttp) socket.destroy();
      return;
    }
    logger.debug({ peer: socket.remoteAddress, code: error.code }, 'request could not be parsed');
    if (!connection.endWithoutReading()) answerUnreadable(error, socket, unreadableBody);
  });
  server.on('tlsClientError', createHandshakeReport(options));
  server.on('sessionError', (error: NodeJS.ErrnoException, session: ServerHttp2Session) => {
    logger.debug(
      { peer: session.socket?.remoteAddress, code: error.code },
      'HTTP/2 connection failed',
    );
  });
  server.on('drop', (drop?: { remoteAddress?: string }) => {
    logger.debug({ peer: drop?.remoteAddress }, 'connection dropped: too many are open');
  });
}

/**
 * Ends a server without losing a request. HTTP/1.1 answers say `Connection: close`, HTTP/2 sessions get a GOAWAY that
 * excludes no stream, and the server accepts connections for the grace. Then it stops listening, and waits for the
 * requests that are in progress.
 *
 * @param closeAll closes all connections that are still open, and returns how many
 * @param bounds milliseconds of the grace, and of all together
 */
async function drain(
  server: Server,
  connections: Connections,
  closeAll: () => number,
  {
    grace,
    timeout,
    logger,
  }: { readonly grace: number; readonly timeout: number; readonly logger: Logger },
): Promise<void> {
  const end = performance.now() + timeout;
  connections.drain();
  await pause(Math.min(grace, timeout));
  // A process that was late reads what has arrived: `close` ends all connections without a request.
  await new Promise((resolve) => setImmediate(resolve));
  const closeLate = () => {
    const fields = { connections: closeAll(), timeout };
    logger.warn(fields, 'connections closed: their requests took longer than server.drainTimeout');
  };
  const timer = setTimeout(closeLate, Math.max(0, end - performance.now()));
  await closing(server);
  clearTimeout(timer);
}

function closing(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
