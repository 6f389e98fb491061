import { constants } from 'node:http2';
import type { Logger } from '@sallyport/authenticator';
import type { Context, Middleware } from 'koa';
import { errorFields } from '../logging/error-fields.ts';
import { connectionLimits } from './limits.ts';
import { http2Stream } from './protocol.ts';
import { StatusError, toStatus } from './status.ts';

/**
 * The outermost middleware: whatever is thrown inside is answered here, as a v1 `Status`, and nowhere else. What is no
 * StatusError is a bug of ours: the caller gets no detail, the log its name and place.
 *
 * @param unreadTimeout milliseconds for a client to end a body over HTTP/2 that was refused before it was read
 */
export function answerErrors(logger: Logger, unreadTimeout: number = connectionLimits.bodyTimeout): Middleware {
  return async (context, next) => {
    try {
      await next();
    } catch (thrown) {
      const error = isUnreadableTarget(thrown) ? new StatusError(400, 'the request target is no URL') : thrown;
      if (!(error instanceof StatusError)) logger.error({ error: errorFields(error) }, 'a request failed: a bug');
      const { code, message } = error instanceof StatusError ? error : new StatusError(500, 'internal error');
      context.status = code;
      context.body = toStatus(code, message);
      discardBody(context, code, unreadTimeout);
    }
  };
}

/** Node's and Koa's own parsing of a target such as `http://[/authenticate`. */
function isUnreadableTarget(error: unknown): boolean {
  return error instanceof TypeError && 'code' in error && error.code === 'ERR_INVALID_URL';
}

/**
 * Reads the rest of a refused body and throws it away. A reset at once would overtake the answer, and Go's client would
 * report the reset instead. A client that is still sending after the deadline is cut: an
 * HTTP/1.1 connection by the deadline of its request, an HTTP/2 stream here.
 */
function discardBody({ req, res }: Context, code: number, timeout: number): void {
  req.resume();
  const stream = http2Stream(req);
  if (stream === undefined) {
    // Only a client that sends too slowly has had its time already.
    if (code === 408) res.setHeader('Connection', 'close');
    return;
  }
  // RFC 9113 section 8.1: this reset says that the answer is whole and the rest of the request is not needed.
  const timer = setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), timeout).unref();
  stream.once('close', () => clearTimeout(timer));
}
