import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { createSecureContext } from 'node:tls';
import { AuthenticatorError } from '@sallyport/authenticator';
import { explainTls, isTlsError, oneLine, type TlsSettings } from '@sallyport/plugin-options';

/** What a peer answered. The body is empty unless the status is 200 or 201. */
export interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

export interface PeerOptions {
  readonly url: URL;
  /** What is in force for the next connection. */
  readonly tls: () => TlsSettings;
  /** Milliseconds for one review. */
  readonly timeout: number;
  /** Bytes. */
  readonly maxResponseSize: number;
  readonly maxConnections: number;
  /** Called when a review is sent a second time. */
  readonly onRepeat: () => void;
}

/** One server that answers reviews, over one pool of connections. */
export interface Peer {
  /**
   * Sends a review. It follows no redirect and asks for no compression.
   *
   * @throws AuthenticatorError, which names the peer, why, and how to fix it, and nothing of the review or the answer
   */
  ask(review: string, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Answer>;
  /** Uses new connections from now on. Reviews in progress end on the old ones. */
  renew(): void;
  close(): void;
}

/** Milliseconds. Many load balancers drop a connection that was idle for 60 s, without a word. */
const idleTimeout = 55_000;

/** Creates a peer. It uses `https` and not `fetch`, which takes no CA without a dispatcher of the very same undici. */
export function createPeer(options: PeerOptions): Peer {
  const { url, timeout } = options;
  const send = url.protocol === 'https:' ? https.request : http.request;
  let agent: http.Agent | undefined;
  const pool = () => {
    agent ??= createAgent(options);
    return agent;
  };
  const ask = async (review: string, headers: Readonly<Record<string, string>>, signal: AbortSignal) => {
    signal.throwIfAborted();
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(timeout)]);
    const exchange = () => {
      const call = send(url, { method: 'POST', agent: pool(), headers: headersOf(review, headers), signal: bounded });
      return read(call, review, options);
    };
    try {
      return await exchange();
    } catch (error) {
      if (!isStale(error) || bounded.aborted) throw explain(error, options, signal, bounded);
    }
    // The peer closed the connection while it was idle: so are the others, perhaps. A review changes nothing, so it may be
    // sent again.
    options.onRepeat();
    closeIdle(pool());
    return exchange().catch((error) => {
      throw explain(error, options, signal, bounded);
    });
  };
  return {
    ask,
    renew() {
      if (agent === undefined) return;
      // A connection in use is closed when its review has ended.
      agent.maxFreeSockets = 0;
      closeIdle(agent);
      agent = undefined;
    },
    close: () => agent?.destroy(),
  };
}

function headersOf(review: string, headers: Readonly<Record<string, string>>): Record<string, string | number> {
  return {
    // Exactly: k8s-ldap-auth takes no parameter, and pinniped no review without Accept.
    'content-type': 'application/json',
    accept: 'application/json',
    'accept-encoding': 'identity',
    'user-agent': 'sallyport',
    'content-length': Buffer.byteLength(review),
    ...headers,
  };
}

/** The secure context is made once, and not for each connection: that would parse the CAs again. */
function createAgent({ url, tls, maxConnections }: PeerOptions): http.Agent {
  const pooled = { keepAlive: true, maxSockets: maxConnections, maxFreeSockets: maxConnections, timeout: idleTimeout };
  if (url.protocol === 'http:') return new http.Agent(pooled);
  const { ca, certificate: cert, key, serverName, minVersion } = tls();
  const secureContext = createSecureContext({ minVersion, ...(ca && { ca }), ...(cert && { cert, key }) });
  const named = serverName === undefined ? {} : { servername: serverName };
  // Left out, NODE_TLS_REJECT_UNAUTHORIZED in the environment would decide.
  return new https.Agent({ ...pooled, secureContext, rejectUnauthorized: true, ...named });
}

function closeIdle(agent: http.Agent): void {
  for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
}

/** What ended an exchange, before it is explained. */
interface Failure {
  readonly cause: NodeJS.ErrnoException;
  readonly isStale: boolean;
}

function isStale(error: unknown): boolean {
  return (error as Failure).isStale === true;
}

function read(call: http.ClientRequest, review: string, { maxResponseSize, url }: PeerOptions): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const refuse = (error: AuthenticatorError) => {
      reject(error);
      call.destroy();
    };
    call.on('error', (cause: NodeJS.ErrnoException) => {
      // Only a connection that was idle can have been closed without an outage. Once an answer has begun, it is one.
      const isClosed = cause.code === 'ECONNRESET' || cause.code === 'EPIPE';
      reject({ cause, isStale: call.reusedSocket && isClosed } satisfies Failure);
    });
    // Without this listener, Node emits neither `response` nor `error` for a 101.
    call.on('upgrade', ({ statusCode: status = 101 }, socket) => {
      socket.destroy();
      resolve({ status, body: Buffer.alloc(0) });
    });
    const noAnswer = () => reject({ cause: new Error('closed without an answer'), isStale: false } satisfies Failure);
    call.on('close', noAnswer);
    call.on('response', (answer) => {
      // An answer without a length ends after `close`.
      call.off('close', noAnswer);
      const { statusCode: status = 0 } = answer;
      if (status !== 200 && status !== 201) {
        drain(answer, maxResponseSize);
        resolve({ status, body: Buffer.alloc(0) });
        return;
      }
      const encoding = answer.headers['content-encoding'] ?? 'identity';
      if (encoding !== 'identity') return refuse(unavailable(url, 'it answers compressed, unasked'));
      const chunks: Buffer[] = [];
      let length = 0;
      answer.on('data', (chunk: Buffer) => {
        length += chunk.length;
        // `failed`: a user with very many groups must not open the circuit.
        if (length > maxResponseSize) return refuse(tooBig(url, maxResponseSize));
        chunks.push(chunk);
      });
      answer.on('end', () => resolve({ status, body: Buffer.concat(chunks, length) }));
      // Node says only "aborted". It emits no `end` and no `error` for some connections that end in the middle of a body.
      const notWhole = () => reject({ cause: new Error('the answer is not whole'), isStale: false } satisfies Failure);
      answer.on('error', notWhole);
      answer.on('close', notWhole);
    });
    call.end(review);
  });
}

/** Reads the body of an answer to its end, so that the connection can be used again, unless it is too big. */
function drain(answer: IncomingMessage, most: number): void {
  let length = 0;
  answer.on('error', () => {});
  answer.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length > most) answer.destroy();
  });
}

/** What messages call the peer. Its query may be a secret. */
export function nameOf({ origin, pathname }: URL): string {
  return origin + pathname;
}

function unavailable(url: URL, why: string): AuthenticatorError {
  return new AuthenticatorError('unavailable', `${nameOf(url)}: ${why}`);
}

function tooBig(url: URL, most: number): AuthenticatorError {
  return new AuthenticatorError('failed', `${nameOf(url)}: its answer is bigger than maxResponseSize (${most} bytes)`);
}

/** It has no cause: an error of Node's HTTP parser has the bytes of the answer with it. */
function explain(error: unknown, options: PeerOptions, signal: AbortSignal, bounded: AbortSignal): AuthenticatorError {
  const { url, timeout } = options;
  if (AuthenticatorError.is(error)) return error;
  if (signal.aborted) return unavailable(url, 'the review ended before its answer');
  if (bounded.aborted) return unavailable(url, `no answer within ${timeout} ms (timeout)`);
  // What was thrown before there was a request has no `cause`.
  const { cause = error as NodeJS.ErrnoException } = error as Partial<Failure>;
  const { code = '' } = cause;
  if (isTlsError(cause) || /CERT|SELF_SIGNED|UNABLE_TO/.test(code)) {
    const peer = { name: options.tls().serverName ?? url.hostname, noTls: 'check the port in the URL' };
    return unavailable(url, explainTls(cause, peer).problem);
  }
  const inner = cause instanceof AggregateError ? cause.errors.map((one: Error) => one.message) : [];
  return unavailable(url, oneLine(cause.message || inner.join('; ') || code));
}
