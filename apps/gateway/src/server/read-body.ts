import type { Context } from 'koa';
import bodyParser from 'koa-bodyparser';
import type { ArrivingBodies } from './arriving-bodies.ts';
import { StatusError } from './status.ts';

/**
 * Reads JSON bodies: 415 for another content type or any Content-Encoding, 413 over `maxBodySize` bytes (by length or
 * as they come), 408 after `timeout` milliseconds (Node's own deadlines are for HTTP/1.1 only), 429 for the oldest of
 * too many bodies that are on their way, 400 for what is not JSON.
 * Duplicate keys: the last wins, as in Kubernetes. A `__proto__` key is refused.
 *
 * @param maxBodySize asked at each request, so that a changed config takes effect
 */
export function createBodyReader(
  maxBodySize: () => number,
  timeout: number,
  bodies: ArrivingBodies,
): (context: Context) => Promise<unknown> {
  let limit = Number.NaN;
  let parse = createParser(limit);
  return async (context) => {
    if (limit !== maxBodySize()) {
      limit = maxBodySize();
      parse = createParser(limit);
    }
    requireJson(context);
    // Here and not only in the parser, which reads a length of 2 GiB and more as none.
    if (Number(context.req.headers['content-length'] ?? 0) > limit) throw tooLarge(limit);
    await arrival(context, parse, timeout, bodies);
    const { body } = context.request;
    // The token is in both: neither outlives the reading.
    Reflect.deleteProperty(context.request, 'rawBody');
    Reflect.deleteProperty(context.request, 'body');
    return body;
  };
}

function requireJson(context: Context): void {
  // Not `context.is`: it takes an HTTP/2 request without a Content-Length for one without a body.
  if (context.request.type.trim().toLowerCase() !== 'application/json') {
    throw new StatusError(415, 'the Content-Type must be application/json');
  }
  if (context.req.headers['content-encoding'] !== undefined) {
    throw new StatusError(415, 'the body must be sent without Content-Encoding');
  }
  const transferEncoding = context.req.headers['transfer-encoding'];
  if (transferEncoding !== undefined && transferEncoding.toLowerCase() !== 'chunked') {
    // RFC 9112 section 6.3: where such a body ends can't be told.
    context.set('Connection', 'close');
    throw new StatusError(400, 'the Transfer-Encoding must be chunked');
  }
}

function createParser(limit: number): ReturnType<typeof bodyParser> {
  return bodyParser({
    // As a number: of the config's units this parser reads 256KiB as 256 bytes.
    jsonLimit: limit as unknown as string,
    // Content types are checked above; this parser skips, without an error, those whose parameters it can't read.
    detectJSON: () => true,
    onerror: (error) => {
      throw refusal(error, limit);
    },
  });
}

function tooLarge(limit: number): StatusError {
  return new StatusError(413, `the body must be at most ${limit} bytes (server.maxBodySize)`);
}

/** A new error: the parser's own carries the body, and its message quotes it. */
function refusal(error: Error, limit: number): StatusError {
  const status = 'status' in error ? error.status : undefined;
  if (status === 413) return tooLarge(limit);
  if ('type' in error) return new StatusError(400, 'the body did not arrive whole');
  return new StatusError(400, 'the body must be a JSON object, without a __proto__ key');
}

/** Parses a body while it arrives, unless it takes too long, or is refused for newer ones. */
async function arrival(
  context: Context,
  parse: ReturnType<typeof bodyParser>,
  timeout: number,
  bodies: ArrivingBodies,
): Promise<void> {
  const { req } = context;
  const refused = Promise.withResolvers<never>();
  const refuse = (error: StatusError) => {
    refused.reject(error);
    // The parser listens for this: it frees what it holds, and stops collecting.
    req.emit('aborted');
  };
  const late = () => refuse(new StatusError(408, `the body did not arrive within ${timeout} ms`));
  const timer = setTimeout(late, timeout);
  const parsed = parse(context, async () => undefined);
  const body = bodies.begin(() => refuse(new StatusError(429, 'too many bodies are on their way at once')));
  const count = (chunk: Buffer) => body.add(chunk.length);
  req.on('data', count);
  try {
    await Promise.race([refused.promise, parsed]);
  } finally {
    clearTimeout(timer);
    req.off('data', count);
    body.end();
  }
}
