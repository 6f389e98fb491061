import type { Context } from 'koa';
import bodyParser from 'koa-bodyparser';
import { StatusError } from './kubernetes-status.ts';
import { connectionLimits } from './limits.ts';

/** The limits of all bodies that are arriving. */
export interface ArrivingLimits {
  readonly count: number;
  readonly bytes: number;
}

/** Over HTTP/1.1 each connection sends one body at a time. A review of kube-apiserver has some hundred bytes. */
const arrivingLimits: ArrivingLimits = { count: connectionLimits.maxConnections, bytes: 64 * 1024 * 1024 };

/**
 * Reads JSON bodies. It throws a StatusError: 415 for another content type or any Content-Encoding, 413 over
 * `maxBodySize` bytes (by the declared length or as they arrive), 408 after `timeout` milliseconds (Node's own timeouts
 * are for HTTP/1.1 only), 429 for the oldest of too many bodies that are arriving, 400 for what is not JSON.
 * Of duplicate keys the last one counts, as in Kubernetes. A `__proto__` key is refused.
 *
 * @param maxBodySize read at each request, so that a changed config takes effect
 */
export function createBodyReader(
  maxBodySize: () => number,
  timeout: number,
  limits: ArrivingLimits = arrivingLimits,
): (context: Context) => Promise<unknown> {
  const beginBody = createArrivingBodies(limits);
  let limit = Number.NaN;
  let parse = createParser(limit);
  return async (context) => {
    if (limit !== maxBodySize()) {
      limit = maxBodySize();
      parse = createParser(limit);
    }
    requireJson(context);
    // The parser checks the length as well, but it takes one of 2 GiB and more for none.
    if (Number(context.req.headers['content-length'] ?? 0) > limit) throw tooLarge(limit);
    await arrival(context, parse, timeout, beginBody);
    const { body } = context.request;
    // Both hold the token, which must not outlive the reading.
    Reflect.deleteProperty(context.request, 'rawBody');
    Reflect.deleteProperty(context.request, 'body');
    return body;
  };
}

function requireJson(context: Context): void {
  // `context.is` takes an HTTP/2 request without a Content-Length for one without a body.
  if (context.request.type.trim().toLowerCase() !== 'application/json') {
    throw new StatusError(415, 'the Content-Type must be application/json');
  }
  if (context.req.headers['content-encoding'] !== undefined) {
    throw new StatusError(415, 'the body must be sent without Content-Encoding');
  }
  const transferEncoding = context.req.headers['transfer-encoding'];
  if (transferEncoding !== undefined && transferEncoding.toLowerCase() !== 'chunked') {
    // RFC 9112 section 6.3: the end of such a body can't be found.
    context.set('Connection', 'close');
    throw new StatusError(400, 'the Transfer-Encoding must be chunked');
  }
}

function createParser(limit: number): ReturnType<typeof bodyParser> {
  return bodyParser({
    // As a number, since this parser reads 256KiB as 256 bytes.
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

/** Makes a new error, because the parser's own has the body, and its message quotes it. */
function refusal(error: Error, limit: number): StatusError {
  if ('status' in error && error.status === 413) return tooLarge(limit);
  if ('type' in error) return new StatusError(400, 'the body did not arrive whole');
  return new StatusError(400, 'the body must be a JSON object, without a __proto__ key');
}

/** Parses a body while it arrives, unless it takes too long, or is refused in favour of newer ones. */
async function arrival(
  context: Context,
  parse: ReturnType<typeof bodyParser>,
  timeout: number,
  beginBody: BeginBody,
): Promise<void> {
  const { req } = context;
  const refused = Promise.withResolvers<never>();
  const refuse = (error: StatusError) => {
    refused.reject(error);
    // The parser listens for this: it frees what it holds, and stops reading.
    req.emit('aborted');
  };
  const onTimeout = () => refuse(new StatusError(408, `the body did not arrive within ${timeout} ms`));
  const timer = setTimeout(onTimeout, timeout);
  const parsed = parse(context, async () => undefined);
  const body = beginBody(() => refuse(new StatusError(429, 'too many request bodies are arriving at once')));
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

interface ArrivingBody {
  /** Counts bytes that have arrived. */
  add(bytes: number): void;
  /** Ends the count, when the body has arrived or is given up. A second call does nothing. */
  end(): void;
}

/** Counts a new body. @param refuse called if there are too many: it must free what is held of this body */
type BeginBody = (refuse: () => void) => ArrivingBody;

/**
 * Counts the bodies that are arriving, over all connections: clients that send slowly make the gateway hold them.
 * Refuses the oldest body beyond the limits. A review of kube-apiserver arrives in milliseconds, so it is never the
 * oldest while another client sends slowly: no client, on however many connections, can shut out others.
 */
export function createArrivingBodies(limits: ArrivingLimits): BeginBody {
  const bodies = new Map<ArrivingBody, { bytes: number; readonly refuse: () => void }>();
  let bytes = 0;
  const refuseOldest = () => {
    for (const [body, { refuse }] of bodies) {
      if (bodies.size <= limits.count && bytes <= limits.bytes) return;
      body.end();
      refuse();
    }
  };
  return (refuse) => {
    const held = { bytes: 0, refuse };
    const body: ArrivingBody = {
      add(more) {
        if (!bodies.has(body)) return;
        held.bytes += more;
        bytes += more;
        refuseOldest();
      },
      end() {
        if (bodies.delete(body)) bytes -= held.bytes;
      },
    };
    bodies.set(body, held);
    refuseOldest();
    return body;
  };
}
