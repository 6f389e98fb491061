import { createServer, type IncomingMessage, type ServerOptions, type ServerResponse } from 'node:http';
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2Session,
  type SecureServerOptions,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Server, Socket } from 'node:net';
import { type Http2Answer, type Http2Request, http2Exchange } from './http2-exchange.ts';
import { type ConnectionLimits, maxConcurrentStreams, maxHeaderSize } from './limits.ts';
import { secureContext, type TlsMaterial } from './tls.ts';

/** A request of either protocol. Koa's types know HTTP/1.1 only, but Koa serves both. */
export type ServerRequest = IncomingMessage | Http2Request;
export type ServerAnswer = ServerResponse | Http2Answer;

/** The stream of an HTTP/2 request; undefined over HTTP/1.1. */
export function http2Stream(request: ServerRequest): ServerHttp2Stream | undefined {
  return 'session' in request ? request : undefined;
}

/** Whether the client has closed the connection or the stream. */
export function isClosed(answer: ServerAnswer): boolean {
  return 'stream' in answer ? answer.stream.closed : answer.destroyed;
}

/** Calls `act` when the connection or the stream is closed, which also follows each complete answer. */
export function onceClosed(answer: ServerAnswer, act: () => void): void {
  const closing = 'stream' in answer ? answer.stream : answer;
  closing.once('close', act);
}

/** The socket of HTTP/1.1, or the HTTP/2 session. */
export type Transport = Socket | Http2Session;

/** Of a request whose stream is open: a stream that is destroyed has no session any more. */
export function transportOf(request: ServerRequest): Transport {
  return ('session' in request ? request.session : request.socket) as Transport;
}

type Handle = (request: ServerRequest, answer: ServerAnswer) => void;

/** Creates a server that does not listen yet: HTTP/2 and 1.1 by ALPN over TLS, or plain HTTP/1.1. */
export function createHttpServer(tls: TlsMaterial | undefined, limits: ConnectionLimits, handle: Handle): Server {
  const options: ServerOptions<typeof IncomingMessage> = {
    maxHeaderSize,
    headersTimeout: limits.headersTimeout,
    requestTimeout: limits.requestTimeout,
    connectionsCheckingInterval: limits.checkInterval,
    keepAliveTimeout: limits.idleTimeout,
  };
  const server =
    tls === undefined
      ? createServer(options, handle)
      : createSecureServer({ ...options, ...secureOptions(tls, limits) }, handle as () => void);
  server.maxConnections = limits.maxConnections;
  return server;
}

/**
 * Replaces what new connections get.
 *
 * @throws Error if the certificate and key do not fit; the old ones stay in force
 */
export function applyTls(server: Server, tls: TlsMaterial): void {
  const secure = server as Http2SecureServer;
  secure.setSecureContext(secureContext(tls));
  // These two are no part of the context: the server reads them from itself at each connection.
  Object.assign(secure, clientOptions(tls));
}

function secureOptions(tls: TlsMaterial, limits: ConnectionLimits): SecureServerOptions {
  return {
    ...secureContext(tls),
    ...clientOptions(tls),
    ...http2Exchange,
    allowHTTP1: true,
    settings: { maxConcurrentStreams, maxHeaderListSize: maxHeaderSize },
    maxSessionMemory: 10,
    maxSessionInvalidFrames: 100,
    maxSessionRejectedStreams: 100,
    // `createResetCount` counts the resets that matter. These two limit the frames.
    streamResetBurst: 1000,
    streamResetRate: 1000,
    handshakeTimeout: limits.handshakeTimeout,
    unknownProtocolTimeout: limits.handshakeTimeout,
  };
}

function clientOptions(tls: TlsMaterial): { requestCert: boolean; rejectUnauthorized: boolean } {
  const isAsked = tls.client !== undefined;
  return { requestCert: isAsked, rejectUnauthorized: isAsked };
}
