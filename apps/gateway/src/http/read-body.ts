import { durationText } from '@sallyport/plugin-kit';
import type { Context } from 'koa';
import bodyParser from 'koa-bodyparser';
import type { ServerRequest } from './http-server.ts';
import { StatusError } from './kubernetes-status.ts';
import { connectionLimits, maxPieces } from './limits.ts';

/**
 * The limits of all bodies that are arriving: their number and their bytes. Over HTTP/1.1 each connection sends one
 * body at a time. A review of kube-apiserver has some hundred bytes.
 */
const arrivingLimits = { count: connectionLimits.maxConnections, bytes: 16 * 1024 * 1024 };

/**
 * Reads JSON bodies. It throws a StatusError: 415 for another content type or any Content-Encoding, 413 over
 * `maxBodySize` bytes (by the declared length or as they arrive), 408 after `timeout` milliseconds (Node's own timeouts
 * are for HTTP/1.1 only), 429 for the oldest of too many bodies that are arriving, 400 for what is not JSON.
 * Of duplicate keys the last one counts, as in Kubernetes. A `__proto__` key is refused.
 *
 * @param maxBodySize read at each request, so that a changed config takes effect
 * @param setting the key of that limit for the message, in parentheses after a space
 */
export function createBodyReader(
  maxBodySize: () => number,
  timeout: number,
  limits = arrivingLimits,
  setting = ' (server.maxBodySize)',
): (context: Context) => Promise<unknown> {
  const readText = createTextReader(maxBodySize, timeout, limits, setting);
  return async (context) => parseJson(await readText(context));
}

/** Reads JSON bodies as {@link createBodyReader} does, and leaves it to its caller to parse them. */
export function createTextReader(
  maxBodySize: () => number,
  timeout: number,
  limits = arrivingLimits,
  setting = ' (server.maxBodySize)',
): (context: Context) => Promise<string> {
  const beginBody = createArrivingBodies(limits, timeout);
  return (context) => {
    const limit = maxBodySize();
    requireType(context, 'application/json');
    if (Number(context.req.headers['content-length'] ?? 0) > limit) throw tooLarge(limit, setting);
    return arrival(context.req, limit, setting, beginBody);
  };
}

/**
 * Reads the forms of our own pages, with the limits and errors of {@link createBodyReader}.
 *
 * @param limit bytes of a form
 * @param timeout milliseconds for each form
 */
export function createFormReader(
  limit: number,
  timeout: number,
  limits: typeof arrivingLimits,
): (context: Context) => Promise<URLSearchParams> {
  const beginBody = createArrivingBodies(limits, timeout);
  return async (context) => {
    requireType(context, 'application/x-www-form-urlencoded');
    if (Number(context.req.headers['content-length'] ?? 0) > limit) throw tooLarge(limit, '');
    return new URLSearchParams(await arrival(context.req, limit, '', beginBody));
  };
}

function requireType(context: Context, type: string): void {
  const { headers } = context.req;
  // `context.is` takes an HTTP/2 request without a Content-Length for one without a body. Content types have
  // parameters, and any case.
  const isType = () => context.request.type.trim().toLowerCase() === type;
  if (headers['content-type'] !== type && !isType()) {
    throw new StatusError(415, `the Content-Type must be ${type}`);
  }
  if (headers['content-encoding'] !== undefined) {
    throw new StatusError(415, 'the body must be sent without Content-Encoding');
  }
  const transferEncoding = headers['transfer-encoding'];
  if (transferEncoding !== undefined && transferEncoding.toLowerCase() !== 'chunked') {
    // RFC 9112 section 6.3: the end of such a body can't be found.
    context.set('Connection', 'close');
    throw new StatusError(400, 'the Transfer-Encoding must be chunked');
  }
}

function tooLarge(limit: number, setting: string): StatusError {
  return new StatusError(413, `the body must be at most ${limit} bytes${setting}`);
}

/** The content type is checked above; this parser skips, without an error, those whose parameters it can't read. */
const parser = bodyParser({
  detectJSON: () => true,
  jsonLimit: Number.MAX_SAFE_INTEGER as unknown as string,
  onerror: () => {
    // The error is a new one, because the parser's own contains the body, and its message quotes it.
    throw new StatusError(400, 'the body must be a JSON object, without a __proto__ key');
  },
});

/** The parser gets a request of its own, with what has arrived: the token must not stay in that of the review. */
async function parseJson(text: string): Promise<unknown> {
  const request: { body?: unknown } = {};
  // What the parser uses of a stream. A stream of Node costs each review 10 µs, a tenth of it.
  const req = {
    headers: {},
    on(event: string, listener: (chunk?: string) => void) {
      if (event === 'data') listener(text);
      if (event === 'end') listener();
      return req;
    },
    removeListener: () => req,
  };
  await parser({ req, request } as unknown as Context, async () => undefined);
  return request.body;
}

/** The bytes of memory that each piece of a body takes besides its own. */
const bytesOfPiece = 128;

/**
 * Returns a piece of a body that keeps at most twice its length in memory. As Node gives it, a piece of one byte keeps
 * all that came with it, such as 16 KiB of other HTTP/2 frames.
 */
export function withoutRest(piece: Buffer): Buffer {
  return 2 * piece.length < piece.buffer.byteLength
    ? Buffer.from(new Uint8Array(piece).buffer)
    : piece;
}

/** Waits for the text of a body, unless it takes too long, grows too large, or is refused in favour of newer ones. */
function arrival(
  req: ServerRequest,
  limit: number,
  setting: string,
  beginBody: BeginBody,
): Promise<string> {
  return new Promise((resolve, reject) => {
    let chunks: Buffer[] = [];
    let size = 0;
    const refuse = (error: StatusError) => {
      body.end();
      chunks = [];
      req.off('data', onData);
      reject(error);
    };
    const onData = (chunk: Buffer) => {
      size += chunk.length;
      chunks.push(withoutRest(chunk));
      if (size > limit) refuse(tooLarge(limit, setting));
      else if (chunks.length > maxPieces)
        refuse(new StatusError(400, 'the body came in too many pieces'));
      else body.add(chunk.length + bytesOfPiece);
    };
    const body = beginBody(refuse);
    req.on('data', onData);
    req.on('end', () => {
      // A stream that was reset ends, too.
      if (req.aborted || !body.end()) return;
      resolve(String(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)));
      chunks = [];
    });
    req.on('close', () => {
      if (body.end()) refuse(new StatusError(400, 'the body did not arrive whole'));
    });
  });
}

type BeginBody = ReturnType<typeof createArrivingBodies>;

type Refuse = (error: StatusError) => void;

/**
 * A body of which bytes are missing. `bytes` have arrived since `at`, in monotonic milliseconds. `refuse` frees them. It is
 * undefined at the end: a table of V8 that a larger or smaller one has replaced keeps its entries until the next full
 * collection.
 */
type ArrivingBody = { bytes: number; readonly at: number; refuse: Refuse | undefined };

/**
 * Counts the bodies that are arriving, over all connections: clients that send slowly make the gateway keep them in
 * memory. Refuses the oldest body beyond the limits. A review of kube-apiserver arrives in milliseconds, so it is never
 * the oldest while another client sends slowly: no client, on however many connections, can shut out others.
 *
 * @param timeout milliseconds for each body. All of them share one timer, since the oldest is the first to be late
 * @returns a function that counts a new body
 */
export function createArrivingBodies(limits: typeof arrivingLimits, timeout: number) {
  const bodies = new Set<ArrivingBody>();
  let bytes = 0;
  let isWatched = false;
  const end = (body: ArrivingBody) => {
    if (!bodies.delete(body)) return undefined;
    bytes -= body.bytes;
    const { refuse } = body;
    body.refuse = undefined;
    return refuse;
  };
  const refuseOldest = () => {
    for (const body of bodies) {
      if (bodies.size <= limits.count && bytes <= limits.bytes) return;
      end(body)?.(new StatusError(429, 'too many request bodies are arriving'));
    }
  };
  const watch = (remainingTime: number) => {
    isWatched = true;
    setTimeout(refuseLate, remainingTime).unref();
  };
  const refuseLate = () => {
    isWatched = false;
    for (const body of bodies) {
      const remainingTime = body.at + timeout - performance.now();
      if (remainingTime > 0) {
        watch(remainingTime);
        return;
      }
      end(body)?.(new StatusError(408, `the body did not arrive within ${durationText(timeout)}`));
    }
  };
  return (refuse: Refuse) => {
    const body: ArrivingBody = { bytes: 0, at: performance.now(), refuse };
    bodies.add(body);
    if (!isWatched) watch(timeout);
    refuseOldest();
    return {
      /** Counts bytes that have arrived. */
      add(arrived: number) {
        if (!bodies.has(body)) return;
        body.bytes += arrived;
        bytes += arrived;
        refuseOldest();
      },
      /** Ends the count, when the body has arrived or is given up. @returns false if that has happened before */
      end: () => end(body) !== undefined,
    };
  };
}
