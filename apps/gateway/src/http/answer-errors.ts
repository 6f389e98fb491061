import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import { constants } from 'node:http2';
import type { Socket } from 'node:net';
import type { RouterContext } from '@koa/router';
import type { Logger } from '@sallyport/authenticator';
import type { Context, Middleware } from 'koa';
import { errorFields } from '../base/logging/error-fields.ts';
import { createLimitedLog } from '../base/logging/log-limiter.ts';
import { afterUnlessClosed } from './connections.ts';
import { endConnection, http2Stream } from './http-server.ts';
import { type StatusCode, StatusError, toStatus } from './kubernetes-status.ts';
import { connectionLimits, maxPieces } from './limits.ts';

export interface ErrorAnswer {
  readonly code: number;
  /** A text is HTML. */
  readonly body: object | string;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Makes the answer to an error.
 *
 * @param request whose target may be no URL
 * @returns undefined for a bug of ours, of which the caller gets no detail
 */
export type AnswerOf = (
  error: unknown,
  request: Pick<IncomingMessage, 'url' | 'headers'>,
) => ErrorAnswer | undefined;

/** Makes the body of an answer to bytes that are not a request for an app. */
export type UnreadableBody = (code: StatusCode, message: string) => object;

const answerWithStatus: AnswerOf = (error) =>
  error instanceof StatusError
    ? { code: error.code, body: toStatus(error.code, error.message) }
    : undefined;

/**
 * Answers whatever the middleware inside of it throws; nothing else does. An app puts it right inside of what changes
 * every answer, such as {@link announceEnd}, so that answers to errors are changed too. An error that has no answer is
 * a bug of ours: the caller gets no detail, and the log gets its name and place.
 *
 * @param discardTimeout milliseconds for a client to end a body over HTTP/2 that was refused before it was read
 * @param answerOf makes a v1 `Status` by default
 */
export function answerErrors(
  logger: Logger,
  discardTimeout: number = connectionLimits.bodyTimeout,
  answerOf: AnswerOf = answerWithStatus,
): Middleware {
  const logBug = createBugLog(logger);
  return async (context, next) => {
    try {
      await next();
    } catch (thrown) {
      const error = isUnreadableTarget(thrown)
        ? new StatusError(400, 'the request target is not a URL')
        : thrown;
      const answer = answerOf(error, context.req);
      if (answer === undefined) logBug(error);
      const {
        code = 500,
        body,
        headers = {},
      } = answer ?? answerOf(new StatusError(500, 'internal error'), context.req) ?? {};
      context.status = code;
      context.set(headers);
      context.body = body;
      discardBody(context, code, discardTimeout);
    }
  };
}

/**
 * Logs bugs: at most one error in 10 s for each place in the code, since a client may run into it with each request.
 */
function createBugLog(logger: Logger): (error: unknown) => void {
  const log = createLimitedLog(logger, () => performance.now(), 'error');
  return (thrown) => {
    const error = errorFields(thrown);
    // Functions that are built in have no place.
    const place = error.frames?.find((frame) => /:\d+:\d+\)?$/.test(frame));
    log(`${error.type} ${place}`, { error }, 'request failed: a bug');
  };
}

/** Recognizes what Node and Koa throw for a target such as `http://[/authenticate`. */
function isUnreadableTarget(error: unknown): boolean {
  return error instanceof TypeError && 'code' in error && error.code === 'ERR_INVALID_URL';
}

/**
 * Reads the rest of a refused body and drops it. An immediate reset would overtake the answer, and Go's client would
 * report the reset instead. A client that still sends after the timeout is cut off: an HTTP/1.1 connection by the
 * timeout of its request, an HTTP/2 stream here. A client that sends it in thousands of pieces is cut off, too.
 */
export function discardBody(
  { req, res }: Pick<Context, 'req' | 'res'>,
  code: number,
  timeout: number,
): void {
  let pieces = 0;
  req.on('data', () => {
    pieces += 1;
    if (pieces === maxPieces) endConnection(req);
  });
  req.resume();
  const stream = http2Stream(req);
  if (stream === undefined) {
    // A client that sends too slowly has had its time already.
    if (code === 408) res.setHeader('Connection', 'close');
    return;
  }
  // The client may have reset it: a timer would keep all of it in memory.
  if (stream.destroyed) return;
  // RFC 9113 section 8.1: this reset says that the answer is complete and the rest of the request is not needed.
  afterUnlessClosed(stream, timeout, () => stream.close(constants.NGHTTP2_NO_ERROR));
}

/**
 * Follows a router, and answers requests whose path (404) or method (405) it does not have.
 *
 * @param notFound the message of a 404, which kube-apiserver's log shows: where token reviews go
 * @param onNotFound is called with each request that gets a 404
 */
export function refuseUnmatched(
  allow: string,
  notFound: string,
  onNotFound: (context: Context) => void = () => undefined,
): (context: RouterContext) => void {
  return (context) => {
    if (context.matched === undefined || context.matched.length === 0) {
      onNotFound(context);
      throw new StatusError(404, notFound);
    }
    context.set('Allow', allow);
    throw new StatusError(405, `the method must be ${allow}`);
  };
}

/**
 * Answers what Node could not parse as an HTTP/1.1 request, with a `Status` like every other error, and closes.
 *
 * @param error contains the raw bytes, so only its code is used
 * @param toBody makes a v1 `Status` by default
 */
export function answerUnreadable(
  error: NodeJS.ErrnoException,
  socket: Socket,
  toBody: UnreadableBody = toStatus,
): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const [code, message] = unreadable(error.code);
  const body = JSON.stringify(toBody(code, message));
  socket.write(
    `HTTP/1.1 ${code} ${STATUS_CODES[code]}\r\nConnection: close\r\nContent-Type: application/json; charset=utf-8\r\n` +
      'X-Content-Type-Options: nosniff\r\nCross-Origin-Resource-Policy: same-origin\r\n' +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  socket.destroySoon();
}

/** Answers a request of HTTP/1.1 without a Host, and closes. @param toBody makes a v1 `Status` by default */
export function answerWithoutHost(
  response: ServerResponse,
  toBody: UnreadableBody = toStatus,
): void {
  response.writeHead(400, {
    Connection: 'close',
    'Content-Type': 'application/json; charset=utf-8',
  });
  response.end(JSON.stringify(toBody(400, 'the Host header is missing')));
}

/** The code of a request in plain HTTP to a TLS port. OpenSSL has the name. */
export const plainHttp = 'ERR_SSL_HTTP_REQUEST';

function unreadable(code: string | undefined): [StatusCode, string] {
  if (code === 'HPE_HEADER_OVERFLOW') return [431, 'the request headers are too large'];
  if (code === plainHttp) return [400, 'this port speaks HTTPS only: use https:// in the URL'];
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return [408, 'the request did not arrive in time'];
  return [400, 'not a valid HTTP request'];
}
