import type { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { constants, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { Middleware } from 'koa';
import {
  http2Stream,
  onceClosed,
  type ServerAnswer,
  type ServerRequest,
  type Transport,
} from './http-server.ts';
import { releaseStream } from './http2-stream.ts';
import type { ConnectionLimits } from './limits.ts';
import { createRefusedClients, type IdentifyRefused, refusedStreams } from './refused-clients.ts';
import { createResetCount } from './reset-count.ts';
import { createFairLimit, type FairLimit, nameNetwork } from './socket-limit.ts';

/** A connection of a client. The client can be asked to reconnect. */
export interface Connection {
  /** Counts a request until its answer is sent or given up. @returns false if it gets none: too many are in progress */
  begin(request: ServerRequest, answer: ServerAnswer): boolean;
  /**
   * Ends a connection on which nothing more can be parsed. Requests that arrived whole get their answers first.
   * @returns false if the next answer is the one to what could not be parsed: the caller must write it
   */
  endWithoutReading(): boolean;
  /** Whether the answer that is being written must say that the connection ends. */
  isLastAnswer(): boolean;
  /** Makes the client send its next requests elsewhere. A second call does nothing. */
  announceEnd(): void;
  /** Closes as soon as no request is in progress. */
  endWhenIdle(): void;
}

export type Connections = ReturnType<typeof createConnections>;

/**
 * The least number of HTTP/2 connections that may have `maxStreams` requests in progress. One turn of the event loop reads
 * all connections, and each request that it begins takes 3 to 10 KB until the next turn. No connection is ended, because
 * Go's client opens one for each review that waits for the first, and then uses the first.
 */
const minFullSessions = 32;

/** The maximum number of requests in progress on each further HTTP/2 connection. */
const lateStreams = 8;

/**
 * Keeps all open connections, because Node's HTTP/2 server can't end any of them.
 *
 * @param maxAge milliseconds, ±10 %, after which a connection is retired; read for each new one
 * @param maxRequests the most requests in progress over HTTP/2, read at each request
 * @param identifyRefused is called with each connection whose TLS handshake is done
 */
export function createConnections(
  limits: ConnectionLimits,
  maxAge: () => number,
  maxRequests: () => number,
  identifyRefused: IdentifyRefused,
) {
  const open = new Map<Transport, Connection>();
  const requests = createFairLimit<ServerHttp2Stream>(maxRequests, (stream) =>
    endRequest(stream, limits.drainGrace),
  );
  const fullSessions = new Set<ServerHttp2Session>();
  const maxFullSessions = () =>
    Math.max(minFullSessions, Math.floor((4 * maxRequests()) / limits.maxStreams));
  const refusedClients = createRefusedClients(() => performance.now());
  let isDraining = false;

  /** A process that was late reads what has arrived before it ends the connection. */
  const afterGrace = (transport: Transport, { endWhenIdle }: Connection) => {
    afterUnlessClosed(transport, limits.drainGrace, () => setImmediate(endWhenIdle));
  };
  /** Makes the client reconnect: requests in progress are answered, then the connection ends. */
  const retire = (transport: Transport) => {
    const connection = open.get(transport);
    if (connection === undefined) return;
    connection.announceEnd();
    afterGrace(transport, connection);
  };
  const retireAll = () => {
    for (const transport of open.keys()) retire(transport);
  };
  const add = (transport: Transport, connection: Connection, onAge: () => void) => {
    open.set(transport, connection);
    transport.once('close', () => open.delete(transport));
    afterUnlessClosed(transport, maxAge() * (0.9 + Math.random() * 0.2), onAge);
    // The end is not announced immediately: a client could never use a session that begins with a GOAWAY.
    if (isDraining) afterGrace(transport, connection);
  };

  return {
    /**
     * Adds a connection that speaks HTTP/1.1. When it is too old, its next answer ends it, and nothing does before: a
     * request may be on its way, and the client would not send it again.
     */
    addSocket(socket: Socket) {
      const fingerprint = identifyRefused(socket);
      if (fingerprint !== undefined)
        refusedClients.add(socket, fingerprint, networkOfSocket(socket));
      const connection = http1Connection(socket, limits);
      add(socket, connection, connection.announceEnd);
      if (isDraining) connection.announceEnd();
    },
    addSession(session: ServerHttp2Session) {
      const network = networkOfSocket(session.socket);
      const fingerprint = identifyRefused(session);
      const isRefused = fingerprint !== undefined;
      const onMisuse = () => isRefused && refusedClients.refuse(fingerprint);
      const maxResets = isRefused ? refusedStreams : limits.maxStreams;
      const bounds = { requests, network, maxResets, onMisuse };
      add(session, http2Connection(session, limits, bounds), () => retire(session));
      // The settings apply immediately: the client need not have acknowledged them.
      if (isRefused) {
        session.settings({ maxConcurrentStreams: refusedStreams });
        refusedClients.add(session, fingerprint, network);
      } else if (fullSessions.size < maxFullSessions()) {
        fullSessions.add(session);
        session.once('close', () => fullSessions.delete(session));
      } else session.settings({ maxConcurrentStreams: lateStreams });
    },
    get: (transport: Transport) => open.get(transport),
    get size(): number {
      return open.size;
    },
    retire,
    retireAll,
    /** Retires all connections, and ends later ones after the grace. */
    drain() {
      isDraining = true;
      retireAll();
    },
  };
}

/**
 * Marks the last answer of a connection of HTTP/1.1. It is the outermost middleware of the review server and the login
 * server, since the answer to an error may be the last one, too.
 */
export function announceEnd(isLastAnswer: (request: ServerRequest) => boolean): Middleware {
  const announce: Middleware = async (context, next) => {
    await next();
    if (isLastAnswer(context.req)) context.set('Connection', 'close');
  };
  return (context, next) =>
    http2Stream(context.req) === undefined ? announce(context, next) : next();
}

/** Calls `act` after the milliseconds, unless the connection or stream has closed before. */
export function afterUnlessClosed(
  closing: EventEmitter,
  milliseconds: number,
  act: () => void,
): void {
  const timer = setTimeout(act, milliseconds).unref();
  closing.once('close', () => clearTimeout(timer));
}

function networkOfSocket(socket: Socket | undefined): string {
  return nameNetwork(socket?.remoteAddress ?? 'unknown');
}

/**
 * Ends a request over HTTP/2, with its connection if the client has not read its answer, or does not read that the request
 * has ended: nothing else frees the memory of either.
 */
function endRequest(stream: ServerHttp2Stream, grace: number): void {
  const { session } = stream;
  // It is destroyed later, because Node's parser may still work on it.
  const endSession = () => setImmediate(() => session?.destroy());
  if (stream.headersSent) {
    endSession();
    return;
  }
  stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  afterUnlessClosed(stream, grace, endSession);
}

/**
 * HTTP/1.1 has no message that announces the end: the last answer does. A client that always sends its next request
 * before that can't stay: after the grace the next answer is the last one, whatever else it has sent.
 */
function http1Connection(socket: Socket, limits: ConnectionLimits): Connection {
  let pending = 0;
  let isAnnounced = false;
  let isGraceOver = false;
  let isEnding = false;
  let newest: IncomingMessage | undefined;
  return {
    begin(request, answer) {
      if (pending >= limits.maxPipelined) {
        stopParsing(socket);
        socket.destroy();
        return false;
      }
      newest = request as IncomingMessage;
      pending++;
      onceClosed(answer, () => {
        pending--;
        if (isEnding && pending === 0) socket.destroySoon();
      });
      return true;
    },
    endWithoutReading() {
      const isWhole = newest?.complete === true;
      if (pending === 0 || (pending === 1 && !isWhole)) return false;
      isAnnounced = true;
      isEnding = true;
      if (!isWhole) socket.destroy();
      return true;
    },
    // All pipelined requests are answered, so only the answer to the last of them can announce the end.
    isLastAnswer: () => isAnnounced && (pending === 1 || isGraceOver),
    announceEnd() {
      if (isAnnounced) return;
      isAnnounced = true;
      afterUnlessClosed(socket, limits.drainGrace, () => {
        isGraceOver = true;
      });
    },
    endWhenIdle() {
      isEnding = true;
      if (pending === 0) socket.destroySoon();
      else afterUnlessClosed(socket, limits.linger, () => socket.destroy());
    },
  };
}

/**
 * Keeps Node from making requests of what it has read already, hundreds for each connection: it parses on when the
 * socket is destroyed. Its parser has no method for that. The function that is set here is called with each request,
 * and its 2 ends the parser.
 */
export function stopParsing(
  socket: Socket & { readonly parser?: { onIncoming?: () => number } | null },
): void {
  if (socket.parser?.onIncoming) socket.parser.onIncoming = () => 2;
}

interface Http2Bounds {
  /** The requests in progress on all sessions. */
  readonly requests: FairLimit<ServerHttp2Stream>;
  readonly network: string;
  /** The requests that may be reset together. */
  readonly maxResets: number;
  /** Is called when the client has reset too many. */
  readonly onMisuse: () => void;
}

function http2Connection(
  session: ServerHttp2Session,
  limits: ConnectionLimits,
  { requests, network, maxResets, onMisuse }: Http2Bounds,
): Connection {
  let isAnnounced = false;
  const countReset = createResetCount(maxResets, () => performance.now());
  let isOver = false;
  const onReset = () => {
    if (isOver || countReset()) return;
    isOver = true;
    onMisuse();
    const error = Object.assign(new Error('the client reset too many requests'), {
      code: 'TOO_MANY_RESETS',
    });
    // It is destroyed later, because Node's parser still works on this session: destroying it here crashed the process
    // (SIGSEGV).
    setImmediate(() => session.destroy(error, constants.NGHTTP2_ENHANCE_YOUR_CALM));
  };
  const endWhenIdle = () => {
    if (session.closed || session.destroyed) return;
    session.close();
    afterUnlessClosed(session, limits.linger, () => session.destroy());
  };
  function onClose(this: ServerHttp2Stream) {
    requests.delete(this);
    // An answer that has not been written tells of a client that did not wait for it.
    if (this.aborted || !this.writableFinished) onReset();
    if (!this.aborted) process.nextTick(releaseStream, this);
  }
  const markUsed = watchIdle(session, limits.idleTimeout, endWhenIdle);
  return {
    // The session itself limits its streams, except those that are reset.
    begin(request) {
      const stream = http2Stream(request);
      // Node holds a client to the setting only once the client has acknowledged it.
      const isTooLarge =
        session.pendingSettingsAck && headerListSize(request) > limits.maxHeaderSize;
      if (isOver || isTooLarge) {
        // Go's client sends a refused request again later.
        stream?.close(
          isTooLarge ? constants.NGHTTP2_ENHANCE_YOUR_CALM : constants.NGHTTP2_REFUSED_STREAM,
        );
        if (stream) releaseStream(stream);
        onReset();
        return false;
      }
      markUsed();
      stream?.on('close', onClose);
      if (stream) requests.add(stream, network);
      return true;
    },
    endWithoutReading: () => false,
    isLastAnswer: () => false,
    announceEnd() {
      if (isAnnounced || session.closed || session.destroyed) return;
      isAnnounced = true;
      // This stream id excludes no stream: RFC 9113 section 6.8, graceful shutdown.
      session.goaway(0, 2 ** 31 - 1);
    },
    endWhenIdle,
  };
}

/** Counts bytes as SETTINGS_MAX_HEADER_LIST_SIZE does (RFC 9113 section 6.5.2). */
function headerListSize({ headers }: ServerRequest): number {
  const fields = Object.entries(headers);
  return fields.reduce((size, [name, value]) => size + name.length + `${value}`.length + 32, 0);
}

/**
 * Calls `act` when a session has begun no request for `idleTimeout` milliseconds. A request that waits is idle as well;
 * `close` lets it finish. Node's own timeout of a session restarts a timer at each frame, which takes 2 % of a review.
 *
 * @returns a function that must be called at each request
 */
function watchIdle(session: ServerHttp2Session, idleTimeout: number, act: () => void): () => void {
  let usedAt = performance.now();
  const check = () => {
    const remainingTime = usedAt + idleTimeout - performance.now();
    if (remainingTime <= 0) act();
    else timer = setTimeout(check, remainingTime).unref();
  };
  let timer = setTimeout(check, idleTimeout).unref();
  session.once('close', () => clearTimeout(timer));
  return () => {
    usedAt = performance.now();
  };
}
