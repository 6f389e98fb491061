import { STATUS_CODES } from 'node:http';
import { constants } from 'node:http2';
import type { Socket } from 'node:net';
import type { RouterContext } from '@koa/router';
import type { Logger } from '@sallyport/authenticator';
import type { Context, Middleware } from 'koa';
import { errorFields } from '../logging/error-fields.ts';
import { afterUnlessClosed } from './connections.ts';
import { http2Stream } from './http-server.ts';
import { type StatusCode, StatusError, toStatus } from './kubernetes-status.ts';
import { connectionLimits } from './limits.ts';

export interface ErrorAnswer {
  readonly code: number;
  readonly body: object;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Makes the answer of an error. Undefined: it is a bug, and the caller gets no detail. */
export type AnswerOf = (error: unknown) => ErrorAnswer | undefined;

const statusOf: AnswerOf = (error) =>
  error instanceof StatusError ? { code: error.code, body: toStatus(error.code, error.message) } : undefined;

/**
 * The outermost middleware. It answers whatever is thrown further in; nothing else does. An error that has no answer is a bug
 * of ours: the caller gets no detail, the log gets its name and place.
 *
 * @param unreadTimeout milliseconds for a client to end a body over HTTP/2 that was refused before it was read
 * @param answerOf left out: errors are answered as a v1 `Status`
 */
export function answerErrors(
  logger: Logger,
  unreadTimeout: number = connectionLimits.bodyTimeout,
  answerOf: AnswerOf = statusOf,
): Middleware {
  return async (context, next) => {
    try {
      await next();
    } catch (thrown) {
      const error = isUnreadableTarget(thrown) ? new StatusError(400, 'the request target is no URL') : thrown;
      const known = answerOf(error);
      if (known === undefined) logger.error({ error: errorFields(error) }, 'request failed: a bug');
      const { code = 500, body, headers = {} } = known ?? answerOf(new StatusError(500, 'internal error')) ?? {};
      context.status = code;
      context.set(headers);
      context.body = body;
      discardBody(context, code, unreadTimeout);
    }
  };
}

/** Recognizes what Node and Koa throw for a target such as `http://[/authenticate`. */
function isUnreadableTarget(error: unknown): boolean {
  return error instanceof TypeError && 'code' in error && error.code === 'ERR_INVALID_URL';
}

/**
 * Reads the rest of a refused body and drops it. A reset at once would overtake the answer, and Go's client would report
 * the reset instead. A client that still sends after the timeout is cut off: an HTTP/1.1 connection by the timeout of
 * its request, an HTTP/2 stream here.
 */
function discardBody({ req, res }: Context, code: number, timeout: number): void {
  req.resume();
  const stream = http2Stream(req);
  if (stream === undefined) {
    // A client that sends too slowly has had its time already.
    if (code === 408) res.setHeader('Connection', 'close');
    return;
  }
  // RFC 9113 section 8.1: this reset says that the answer is complete and the rest of the request is not needed.
  afterUnlessClosed(stream, timeout, () => stream.close(constants.NGHTTP2_NO_ERROR));
}

/** Follows a router, and answers requests whose path (404) or method (405) it does not have. */
export function refuseUnmatched(allow: string): (context: RouterContext) => void {
  return (context) => {
    if (context.matched === undefined || context.matched.length === 0) throw new StatusError(404, 'not found');
    context.set('Allow', allow);
    throw new StatusError(405, `the method must be ${allow}`);
  };
}

/**
 * Answers what Node could not parse as an HTTP/1.1 request, with a `Status` like every other error, and closes.
 *
 * @param error has the raw bytes, so only its code is used
 * @param toBody left out: a v1 `Status`
 */
export function answerUnreadable(
  error: NodeJS.ErrnoException,
  socket: Socket,
  toBody: (code: StatusCode, message: string) => object = toStatus,
): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const [code, message] = unreadable(error.code);
  const body = JSON.stringify(toBody(code, message));
  socket.write(
    `HTTP/1.1 ${code} ${STATUS_CODES[code]}\r\nConnection: close\r\nContent-Type: application/json; charset=utf-8\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  socket.destroySoon();
}

function unreadable(code: string | undefined): [StatusCode, string] {
  if (code === 'HPE_HEADER_OVERFLOW') return [431, 'the request headers are too large'];
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return [408, 'the request did not arrive in time'];
  return [400, 'not a valid HTTP request'];
}
