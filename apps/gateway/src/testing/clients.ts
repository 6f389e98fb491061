import { randomBytes } from 'node:crypto';
import { type IncomingHttpHeaders, request as plainRequest, type RequestOptions } from 'node:http';
import {
  type ClientHttp2Session,
  connect as connectHttp2,
  type SecureClientSessionOptions,
} from 'node:http2';
import { request as secureRequest } from 'node:https';
import { connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export interface TestAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The content of a JSON answer. */
  readonly json: unknown;
}

/** Makes a random token, so that finding it in any output means a leak. */
export function randomToken(): string {
  return randomBytes(24).toString('base64url');
}

export function review(spec: object = { token: randomToken() }, version = 'v1'): string {
  return JSON.stringify({
    apiVersion: `authentication.k8s.io/${version}`,
    kind: 'TokenReview',
    spec,
  });
}

type Send = RequestOptions & { body?: string | Buffer; ca?: Buffer; cert?: Buffer; key?: Buffer };

/** Sends one HTTP/1.1 request, by default a POST of a review to /authenticate. A `body` is sent with its length. */
export function send(url: string, { body, ...options }: Send = {}): Promise<TestAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<TestAnswer>();
  const make = url.startsWith('https:') ? secureRequest : plainRequest;
  const method = options.method ?? 'POST';
  const payload = method === 'POST' ? (body ?? review()) : body;
  const headers = {
    ...(payload !== undefined && { 'Content-Type': 'application/json' }),
    ...options.headers,
  };
  const request = make(
    new URL('/authenticate', url),
    { agent: false, ...options, method, headers },
    (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () =>
        resolve(toAnswer(answer.statusCode ?? 0, answer.headers, Buffer.concat(chunks).toString())),
      );
      answer.on('error', reject);
    },
  );
  request.on('error', reject);
  request.end(payload);
  return promise;
}

function toAnswer(status: number, headers: IncomingHttpHeaders, text: string): TestAnswer {
  const isJson = headers['content-type']?.startsWith('application/json') === true && text !== '';
  return { status, headers, text, json: isJson ? JSON.parse(text) : undefined };
}

/** Opens an HTTP/2 session, which is closed when the test ends. */
export function openSession(
  url: string,
  options: SecureClientSessionOptions = {},
): ClientHttp2Session {
  const session = connectHttp2(url, options);
  session.on('error', () => undefined);
  onTestFinished(() => session.destroy());
  return session;
}

/** Sends one request on a session. The body's end is not sent if `unfinished`. */
export function sendOn(
  session: ClientHttp2Session,
  options: { headers?: Record<string, string>; body?: string; unfinished?: boolean } = {},
): Promise<TestAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<TestAnswer>();
  const defaults = {
    ':method': 'POST',
    ':path': '/authenticate',
    'content-type': 'application/json',
  };
  const stream = session.request({ ...defaults, ...options.headers }, { endStream: false });
  let headers: IncomingHttpHeaders & { ':status'?: number } = {};
  const chunks: Buffer[] = [];
  stream.on('response', (received) => {
    headers = received as typeof headers;
  });
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('end', () => {
    const status = headers[':status'];
    if (status === undefined) reject(new Error('the stream ended without an answer'));
    else resolve(toAnswer(status, headers, Buffer.concat(chunks).toString()));
  });
  stream.on('error', reject);
  stream.on('close', () => reject(new Error('the stream closed without an answer')));
  if (options.unfinished) stream.write(options.body ?? review());
  else stream.end(options.body ?? review());
  return promise;
}

/** A TCP connection and all that it received. */
export interface RawConnection {
  readonly socket: Socket;
  readonly received: () => string;
  /** Settles when the server has closed. */
  readonly closed: Promise<void>;
}

export function openRaw(port: number): RawConnection {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  const closed = new Promise<void>((resolve) => {
    socket.once('close', () => resolve());
  });
  socket.on('error', () => undefined);
  onTestFinished(() => {
    socket.destroy();
  });
  return { socket, received: () => text, closed };
}

/** Makes an HTTP/1.1 request as bytes. */
export function rawPost(
  body: string | Buffer,
  headers: readonly string[] = [`Content-Length: ${Buffer.byteLength(body)}`],
): Buffer {
  const head = [
    'POST /authenticate HTTP/1.1',
    'Host: test',
    'Content-Type: application/json',
    ...headers,
  ];
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), Buffer.from(body)]);
}
