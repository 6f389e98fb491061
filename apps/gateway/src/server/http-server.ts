import { createServer, type IncomingMessage, type ServerOptions, type ServerResponse } from 'node:http';
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type Http2Session,
  type SecureServerOptions,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Server, Socket } from 'node:net';
import { type ConnectionLimits, maxConcurrentStreams, maxHeaderSize } from './limits.ts';
import { secureContext, type TlsMaterial } from './tls.ts';

/** A request of either protocol. Koa's types know HTTP/1.1 only, but Koa serves both. */
export type ServerRequest = IncomingMessage | Http2ServerRequest;
export type ServerAnswer = ServerResponse | Http2ServerResponse;

/** The stream of an HTTP/2 request; undefined over HTTP/1.1. */
export function http2Stream(request: ServerRequest): ServerHttp2Stream | undefined {
  return 'stream' in request ? request.stream : undefined;
}

/** The socket of HTTP/1.1, or the HTTP/2 session. */
export type Transport = Socket | Http2Session;

/** Over HTTP/2, `socket` is a new proxy at each call. */
export function transportOf(request: ServerRequest): Transport {
  return http2Stream(request)?.session ?? request.socket;
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
      : createSecureServer({ ...options, ...secureOptions(tls, limits) }, handle);
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
