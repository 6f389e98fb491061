import { type TlsSettings, within } from '@sallyport/plugin-kit';
import type { Cluster, Redis } from 'ioredis';
import { createClient, retryDelay } from './client.ts';
import type { ConnectionOptions } from './connection-options.ts';
import { isCluster, isInHandshake, type RedisClient } from './nodes.ts';
import {
  closed,
  closedUnanswered,
  describeProblem,
  isEndOfConnection,
  isReplyError,
  noNodeAnswers,
  noNodeUsable,
  type ProblemTerms,
  problemOfAttempt,
  type RedisProblemDetail,
} from './problems.ts';

/** A client with the state of its connection. */
export interface WatchedClient {
  readonly client: RedisClient;
  /** Whether the connection works. It is undefined before the first attempt has ended. */
  isUp: boolean | undefined;
  /** The problem of the last attempt to connect; undefined while the connection works. */
  problem: RedisProblemDetail | undefined;
}

export interface StateEvents {
  /** Called for each problem of a connection, once for each attempt. */
  onProblem(problem: RedisProblemDetail): void;
  onUp(): void;
  /** Called once when a working connection ends, or the first attempt fails. */
  onDown(problem: RedisProblemDetail): void;
}

/** The clients of one connection: the current client, a new client that is to replace it, and replaced clients. */
export interface WatchedClients {
  /** The client for new commands. `onUp` and `onDown` report this one only. */
  readonly current: WatchedClient;
  /** Replaces the current client by one with the current TLS settings, after its first attempt to connect. */
  renew(): Promise<void>;
  /** Closes all connections. */
  close(): void;
}

/** Milliseconds: the gateway gives an authenticator 10 s to start, and a Redis that hangs must not keep it from starting. */
const maxFirstWait = 5_000;

/**
 * Waits until the first attempt to connect has succeeded or failed, at most for `commandTimeout` and 5 s.
 *
 * @param tls called for each new client; undefined: no TLS
 */
export async function openClients(
  options: ConnectionOptions,
  tls: () => TlsSettings | undefined,
  terms: ProblemTerms,
  events: StateEvents,
  signal: AbortSignal,
): Promise<WatchedClients> {
  const { kind, secure } = options.servers;
  const isInClear = !secure && (kind === 'server' || kind === 'sentinel');
  const clients = new Set<RedisClient>();
  let isClosed = false;
  let renewals = 0;

  function create(): WatchedClient {
    const client = createClient(options, tls());
    clients.add(client);
    // ioredis ends a client for good when it hears of a failover during an attempt to connect.
    client.on('end', () => reconnectLater(client, clients));
    const watched: WatchedClient = { client, isUp: undefined, problem: undefined };
    watch(watched, isInClear, terms, {
      onProblem: events.onProblem,
      onUp: () => watched === current && events.onUp(),
      onDown: (problem) => watched === current && !isClosed && events.onDown(problem),
    });
    return watched;
  }
  function drop(client: RedisClient): void {
    clients.delete(client);
    client.disconnect();
  }
  async function renew(): Promise<void> {
    if (isClosed) return;
    renewals += 1;
    const number = renewals;
    const [old, next] = [current, create()];
    await attempt(next.client, options.commandTimeout, signal);
    if (isClosed || number !== renewals) return drop(next.client);
    current = next;
    if (next.isUp && !old.isUp) events.onUp();
    if (!next.isUp && old.isUp) events.onDown(next.problem ?? closed);
    // The commands of the old client have ended by then.
    setTimeout(drop, options.commandTimeout, old.client).unref();
  }
  function close(): void {
    isClosed = true;
    for (const client of clients) drop(client);
  }

  let current = create();
  await attempt(current.client, Math.min(options.commandTimeout, maxFirstWait), signal);
  return {
    get current() {
      return current;
    },
    renew,
    close,
  };
}

async function attempt(
  client: RedisClient,
  milliseconds: number,
  signal: AbortSignal,
): Promise<void> {
  // The client tries again by itself. Until then, commands fail with the reason.
  const connected = client.connect().catch(() => {});
  await within({ signal, limit: milliseconds }, () => connected).catch(() => {});
}

function reconnectLater(client: RedisClient, clients: ReadonlySet<RedisClient>): void {
  const reconnect = () => {
    if (clients.has(client)) client.connect().catch(() => {});
  };
  setTimeout(reconnect, retryDelay(1)).unref();
}

/** Listens to a client from the beginning: ioredis prints an error event without a listener to stderr. */
function watch(
  watched: WatchedClient,
  isInClear: boolean,
  terms: ProblemTerms,
  events: StateEvents,
): void {
  const { client } = watched;
  /** The connection of this attempt is there, in clear, and has neither an answer nor a problem yet. */
  let isUnanswered = false;
  function note(problem: RedisProblemDetail): void {
    isUnanswered = false;
    watched.problem = problem;
    events.onProblem(problem);
  }
  function noteProblem(error: unknown): void {
    const isEnd = isUnanswered && isEndOfConnection(error);
    note(isEnd ? closedUnanswered : problemOfAttempt(error, isInHandshake(client), terms));
  }
  function noteDown(): void {
    if (watched.isUp === false) return;
    watched.isUp = false;
    events.onDown(watched.problem ?? closed);
  }
  client.on('ready', () => {
    isUnanswered = false;
    watched.problem = undefined;
    watched.isUp = true;
    events.onUp();
  });
  if (isInClear) {
    client.on('connect', () => {
      isUnanswered = true;
    });
    // ioredis reports no error when the server closes a connection on which it has not answered.
    client.on('close', () => isUnanswered && note(closedUnanswered));
  }
  client.on('close', noteDown);
  if (isCluster(client)) noteNodes(client, terms, note);
  else {
    client.on('error', noteProblem);
    // While no sentinel answers, there is no connection that could close.
    client.on('error', noteDown);
    disconnectOnRefusal(client);
  }
}

/**
 * Notes the problems of a cluster. ioredis reports each node that can't be used, and then that there is none, with the last report of a
 * node. That is often only that its connection was closed.
 */
function noteNodes(
  client: Cluster,
  terms: ProblemTerms,
  note: (problem: RedisProblemDetail) => void,
): void {
  /** The problem of the last node in this attempt. Undefined: no node gave a reason. */
  let cause: RedisProblemDetail | undefined;
  client.on('node error', (error) => {
    const problem = describeProblem(error, terms);
    // The other nodes still work, so the connection is not down.
    if (client.status === 'ready') return note(problem);
    // A closed connection says nothing of the cause, and may be reported after the cause.
    if (problem === closed) return;
    cause = problem;
    note(noNodeUsable(problem));
  });
  client.on('error', (error) => {
    const problem = describeProblem(error, terms);
    note(problem === noNodeAnswers ? noNodeUsable(cause) : problem);
    cause = undefined;
  });
  client.on('ready', () => {
    cause = undefined;
  });
}

/** When Redis refuses the database, ioredis goes on in database 0, which may belong to others. This ends the connection. */
function disconnectOnRefusal(client: Redis): void {
  client.on('error', (error) => {
    if (client.status !== 'connect' || !isReplyError(error)) return;
    client.disconnect(true);
    // Otherwise ioredis would soon be ready, and would not lengthen the pause before the next attempt.
    client.status = 'close';
  });
}
