import http from 'node:http';
import https from 'node:https';
import { createSecureContext } from 'node:tls';
import { AuthenticatorError, type AuthenticatorErrorCode } from '@sallyport/authenticator';
import {
  AnswerTooBig,
  callHttp,
  durationText,
  explainHttpError,
  type HttpAnswer,
  type TlsSettings,
} from '@sallyport/plugin-kit';
import type { WebhookOptions } from './options.ts';

interface PeerOptions
  extends Pick<WebhookOptions, 'url' | 'timeout' | 'maxResponseSize' | 'maxConnections'> {
  /** The TLS settings in force for the next connection. */
  readonly tls: () => TlsSettings;
  /** Called when a review is sent a second time. */
  readonly onRepeat: () => void;
}

/** Milliseconds. Many load balancers drop a connection that was idle for 60 s, without a word. */
const idleTimeout = 55_000;

export type Peer = ReturnType<typeof createPeer>;

/**
 * Creates a peer: one server that answers reviews, over one pool of connections. It uses `https` and not `fetch`, which takes
 * no CA without a dispatcher of the very same undici.
 */
export function createPeer(options: PeerOptions) {
  const { url, timeout, maxResponseSize: maxSize } = options;
  const send = url.protocol === 'https:' ? https.request : http.request;
  let agent: http.Agent | undefined;

  function sendOnce(
    review: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ) {
    agent ??= createAgent(options);
    const call = send(url, {
      method: 'POST',
      agent,
      headers: makeHeaders(review, headers),
      signal,
    });
    const answer = callHttp(call, { statuses: [200, 201], maxSize }, review);
    return { call, answer };
  }

  return {
    /**
     * Sends a review. It follows no redirect and asks for no compression.
     *
     * @throws AuthenticatorError, which names the peer, why, and how to fix it, and nothing of the review or the answer
     */
    async ask(
      review: string,
      headers: Readonly<Record<string, string>>,
      signal: AbortSignal,
    ): Promise<HttpAnswer> {
      signal.throwIfAborted();
      const bounded = AbortSignal.any([signal, AbortSignal.timeout(timeout)]);
      try {
        const { call, answer } = sendOnce(review, headers, bounded);
        return await answer.catch(async (error) => {
          if (!isStale(call, error) || bounded.aborted) throw error;
          // The peer closed the connection while it was idle, and perhaps the others, too. A review changes nothing, so it
          // may be sent again.
          options.onRepeat();
          closeIdle(agent);
          return await sendOnce(review, headers, bounded).answer;
        });
      } catch (error) {
        throw explain(error, options, signal, bounded);
      }
    },
    /** Uses new connections from now on. Reviews in progress end on the old ones. */
    renew(): void {
      // A connection in use is closed when its review has ended.
      if (agent) agent.maxFreeSockets = 0;
      closeIdle(agent);
      agent = undefined;
    },
    close: () => agent?.destroy(),
  };
}

/** Whether a connection may have been closed while it was idle, which is not an outage. */
function isStale(call: http.ClientRequest, { code }: NodeJS.ErrnoException): boolean {
  return call.reusedSocket && (code === 'ECONNRESET' || code === 'EPIPE');
}

function makeHeaders(
  review: string,
  headers: Readonly<Record<string, string>>,
): Record<string, string | number> {
  return {
    // k8s-ldap-auth accepts no parameter, and pinniped accepts no review without Accept.
    'content-type': 'application/json',
    accept: 'application/json',
    'accept-encoding': 'identity',
    'user-agent': 'sallyport',
    'content-length': Buffer.byteLength(review),
    ...headers,
  };
}

/** Creates an agent with one secure context. One for each connection would parse the CAs again. */
function createAgent({ url, tls, maxConnections }: PeerOptions): http.Agent {
  const pooled = {
    keepAlive: true,
    maxSockets: maxConnections,
    maxFreeSockets: maxConnections,
    timeout: idleTimeout,
  };
  if (url.protocol === 'http:') return new http.Agent(pooled);
  const { ca, certificate: cert, key, serverName, minVersion } = tls();
  const secureContext = createSecureContext({
    minVersion,
    ...(ca && { ca }),
    ...(cert && { cert, key }),
  });
  const named = serverName === undefined ? {} : { servername: serverName };
  // Without `rejectUnauthorized`, NODE_TLS_REJECT_UNAUTHORIZED in the environment would decide.
  return new https.Agent({ ...pooled, secureContext, rejectUnauthorized: true, ...named });
}

function closeIdle(agent: http.Agent | undefined): void {
  for (const sockets of Object.values(agent?.freeSockets ?? {}))
    for (const socket of sockets ?? []) socket.destroy();
}

/** Names the peer in messages, without its query, which may be a secret. */
export function peerName({ origin, pathname }: URL): string {
  return origin + pathname;
}

/** Makes an error without a cause: an error of Node's HTTP parser contains the bytes of the answer. */
function explain(
  error: unknown,
  options: PeerOptions,
  signal: AbortSignal,
  bounded: AbortSignal,
): AuthenticatorError {
  const { url, tls, timeout, maxResponseSize } = options;
  const because = (problem: string, code: AuthenticatorErrorCode = 'unavailable') =>
    new AuthenticatorError(code, `${peerName(url)}: ${problem}`);
  // `failed`: a user with very many groups must not open the circuit.
  if (error instanceof AnswerTooBig) {
    return because(
      `its answer is bigger than maxResponseSize (${maxResponseSize} bytes)`,
      'failed',
    );
  }
  if (signal.aborted) return because('the review ended before its answer');
  if (bounded.aborted) return because(`no answer within ${durationText(timeout)} (timeout)`);
  return because(explainHttpError(error as Error, tls().serverName ?? url.hostname));
}
