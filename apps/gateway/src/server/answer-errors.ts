import { constants } from 'node:http2';
import type { Logger } from '@sallyport/authenticator';
import type { Context, Middleware } from 'koa';
import { errorFields } from '../logging/error-fields.ts';
import { http2Stream } from './protocol.ts';
import { StatusError, toStatus } from './status.ts';

/**
 * The outermost middleware: whatever is thrown inside is answered here, as a v1 `Status`, and nowhere else. What is no
 * StatusError is a bug of ours: the caller gets no detail, the log its name and place.
 */
export function answerErrors(logger: Logger): Middleware {
  return async (context, next) => {
    closeUnreadStream(context);
    try {
      await next();
    } catch (thrown) {
      const error = isUnreadableTarget(thrown) ? new StatusError(400, 'the request target is no URL') : thrown;
      if (!(error instanceof StatusError)) logger.error({ error: errorFields(error) }, 'a request failed: a bug');
      const { code, message } = error instanceof StatusError ? error : new StatusError(500, 'internal error');
      context.status = code;
      context.body = toStatus(code, message);
      if (context.req.httpVersionMajor === 1) discardBody(context, code);
    }
  };
}

/** Node's and Koa's own parsing of a target such as `http://[/authenticate`. */
function isUnreadableTarget(error: unknown): boolean {
  return error instanceof TypeError && 'code' in error && error.code === 'ERR_INVALID_URL';
}

/**
 * The rest of a body that nobody reads is taken off the wire, up to the request's deadline: closing at once would reset
 * the connection, and the answer with it. Only who sends too slowly has had that time.
 */
function discardBody(context: Context, code: number): void {
  context.req.resume();
  if (code === 408) context.set('Connection', 'close');
}

/**
 * Node keeps an HTTP/2 stream open, unfinished, when it was answered before its body was read. RFC 9113 section 8.1:
 * the server may then ask for the rest not to be sent, by a reset without error.
 */
function closeUnreadStream(context: Context): void {
  const stream = http2Stream(context.req);
  stream?.once('finish', () => {
    if (stream.readableEnded) return;
    stream.close(constants.NGHTTP2_NO_ERROR);
    // A stream that a reader left paused does not end otherwise.
    stream.resume();
  });
}
