import { createServer, type IncomingMessage, type ServerOptions } from 'node:http';
import { createSecureServer, type Http2SecureServer, type SecureServerOptions } from 'node:http2';
import type { Server } from 'node:net';
import { type ConnectionLimits, maxConcurrentStreams, maxHeaderSize } from './limits.ts';
import type { ServerAnswer, ServerRequest } from './protocol.ts';
import { secureContext, type TlsMaterial } from './tls.ts';

type Handle = (request: ServerRequest, answer: ServerAnswer) => void;

/** A server, not yet listening: HTTP/2 and 1.1 by ALPN over TLS, or plain HTTP/1.1. */
export function createHttpServer(tls: TlsMaterial | undefined, limits: ConnectionLimits, handle: Handle): Server {
  const server =
    tls === undefined
      ? createServer(http1Options(limits), handle)
      : createSecureServer({ ...http1Options(limits), ...http2Options(limits), ...tlsOptions(tls, limits) }, handle);
  server.maxConnections = limits.maxConnections;
  return server;
}

/**
 * New connections get it.
 *
 * @throws Error on a pair that does not fit; the old one stays in force
 */
export function applyTls(server: Server, tls: TlsMaterial): void {
  const secure = server as Http2SecureServer;
  secure.setSecureContext(secureContext(tls));
  // Not part of the context: the server reads these two of itself at each connection.
  Object.assign(secure, clientOptions(tls));
}

function http1Options(limits: ConnectionLimits): ServerOptions<typeof IncomingMessage> {
  return {
    maxHeaderSize,
    headersTimeout: limits.headersTimeout,
    requestTimeout: limits.requestTimeout,
    connectionsCheckingInterval: limits.checkInterval,
    keepAliveTimeout: limits.idleTimeout,
  };
}

function http2Options(limits: ConnectionLimits): SecureServerOptions {
  return {
    allowHTTP1: true,
    settings: { maxConcurrentStreams, maxHeaderListSize: maxHeaderSize },
    maxSessionMemory: 10,
    maxSessionInvalidFrames: 100,
    maxSessionRejectedStreams: 100,
    // Those that matter are counted in `resets.ts`; these bound the frames.
    streamResetBurst: 1000,
    streamResetRate: 1000,
    unknownProtocolTimeout: limits.handshakeTimeout,
  };
}

function tlsOptions(tls: TlsMaterial, limits: ConnectionLimits): SecureServerOptions {
  return { ...secureContext(tls), ...clientOptions(tls), handshakeTimeout: limits.handshakeTimeout };
}

function clientOptions(tls: TlsMaterial): { requestCert: boolean; rejectUnauthorized: boolean } {
  const asked = tls.client !== undefined;
  return { requestCert: asked, rejectUnauthorized: asked };
}
