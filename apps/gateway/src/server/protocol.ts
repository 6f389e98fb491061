import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse, ServerHttp2Stream } from 'node:http2';

/** A request of either protocol. Koa's types know HTTP/1.1 only, but it serves both. */
export type ServerRequest = IncomingMessage | Http2ServerRequest;
/** A response of either protocol. */
export type ServerAnswer = ServerResponse | Http2ServerResponse;

/** The stream of an HTTP/2 request; undefined on HTTP/1.1. */
export function http2Stream(request: ServerRequest): ServerHttp2Stream | undefined {
  return 'stream' in request ? request.stream : undefined;
}
