import type {
  Http2ServerRequest,
  Http2ServerResponse,
  IncomingHttpHeaders,
  OutgoingHttpHeaders,
  ServerHttp2Stream,
} from 'node:http2';
import type { Socket } from 'node:net';

// These are the parts of an HTTP/2 request and its answer that Koa needs. Node's own classes take a quarter of a review
// (docs/contributing/decisions.md).

/** A request is the stream itself, which has the body and 'close', with these properties. */
export interface Http2Request extends ServerHttp2Stream {
  headers: IncomingHttpHeaders;
  method: string | undefined;
  url: string | undefined;
  httpVersionMajor: 2;
  socket: Socket;
}

/** The part of Node's ServerResponse that Koa uses, and Node for `CONNECT` and `Expect`. */
export interface Http2Answer {
  readonly stream: ServerHttp2Stream;
  readonly headers: OutgoingHttpHeaders;
  statusCode: number;
  /** Whether the answer has been given. */
  writableEnded: boolean;
  setHeader(name: string, value: string | number): void;
  /** Sends the answer, unless the client has gone. */
  end(body?: string | Uint8Array): void;
}

function createRequest(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Http2Request {
  // 'close' follows each error, and says enough.
  stream.on('error', ignore);
  const request = stream as Http2Request;
  request.headers = headers;
  request.method = headers[':method'] as string | undefined;
  request.url = headers[':path'] as string | undefined;
  request.httpVersionMajor = 2;
  request.socket = stream.session?.socket as Socket;
  return request;
}

function ignore(): void {}

const noHeaders: IncomingHttpHeaders = {};

/**
 * Drops what a closed stream refers to. Node's Writable makes a function in each stream by `this.onwrite = (er) => …`. V8
 * makes such functions in its old space, so each stream stays in memory until the next full collection, and with it the
 * listeners, which refer to all of the review. It is for a request that nothing reads any more: one that was answered, after
 * the listeners of 'close', or one that gets no answer.
 */
export function releaseStream(stream: ServerHttp2Stream): void {
  for (const event of ['data', 'end', 'close']) stream.removeAllListeners(event);
  const request = stream as Http2Request & { _parsedUrl?: unknown };
  request.headers = noHeaders;
  // Koa's parseurl keeps the URL here.
  request._parsedUrl = undefined;
}

const withoutBody = { endStream: true };

/**
 * The end is a frame of its own. With the end in the last frame of the body, Node closes the stream before it knows that
 * the body was written, and makes an error about that which no one sees, for a tenth of a review.
 */
const withBody = { waitForTrailers: true };

/** The methods are a prototype, because an answer must not make a dozen functions. */
const answerMethods: ThisType<Http2Answer> = {
  /** Koa's `on-finished` adds a listener for what only HTTP/1.1 reports: that its socket failed. */
  __onFinished: { queue: { push: ignore } },
  /** It is null, since a closed stream is noticed in `end`. With undefined Koa would wait for a socket. */
  socket: null,
  get finished() {
    return this.writableEnded;
  },
  get headersSent() {
    return this.stream.headersSent;
  },
  getHeaders() {
    return this.headers;
  },
  getHeaderNames() {
    return Object.keys(this.headers);
  },
  getHeader(name: string) {
    return this.headers[name.toLowerCase()];
  },
  setHeader(name: string, value: string | number) {
    const key = name.toLowerCase();
    // RFC 9113 section 8.2.2: HTTP/2 has no such header.
    if (key !== 'connection') this.headers[key] = value;
  },
  removeHeader(name: string) {
    delete this.headers[name.toLowerCase()];
  },
  writeContinue() {
    const { stream } = this;
    if (!stream.destroyed && !stream.closed) stream.additionalHeaders({ ':status': 100 });
  },
  end(body?: string | Uint8Array) {
    const { stream, headers } = this;
    if (this.writableEnded) return;
    this.writableEnded = true;
    if (stream.destroyed || stream.closed) return;
    headers[':status'] = this.statusCode;
    stream.respond(headers, body === undefined ? withoutBody : withBody);
    if (body !== undefined) stream.end(body);
  },
};

function createAnswer(stream: ServerHttp2Stream): Http2Answer {
  const answer = Object.create(answerMethods);
  answer.stream = stream;
  answer.headers = {};
  answer.statusCode = 200;
  answer.writableEnded = false;
  return answer;
}

/**
 * The options of `http2.createSecureServer`. Node calls both with `new`, which takes the object that a function
 * returns.
 */
export const http2Classes = {
  Http2ServerRequest: createRequest as unknown as typeof Http2ServerRequest,
  Http2ServerResponse: createAnswer as unknown as typeof Http2ServerResponse,
} as const;
