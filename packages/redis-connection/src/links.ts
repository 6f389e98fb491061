import type { TlsSettings } from '@sallyport/authenticator/options';
import { Cluster, type Redis } from 'ioredis';
import { createClient, type RedisClient, retryDelay } from './client.ts';
import { type ConnectionOptions, certificateName, type Wording } from './connection-options.ts';
import { closed, isReplyError, type Problem, type ProblemTerms, problemOf } from './problems.ts';

/** A client with the state of its connection. */
export interface Link {
  readonly client: RedisClient;
  readonly state: ConnectionState;
}

interface ConnectionState {
  /** Undefined before the first attempt has ended. */
  readonly isUp: boolean | undefined;
  /** The problem of the last attempt to connect; undefined while the connection works. */
  readonly problem: Problem | undefined;
}

export interface StateEvents {
  /** Called for each problem of a connection, once for each attempt. */
  onProblem(problem: Problem): void;
  onUp(): void;
  /** Called once when a working connection ends, or the first attempt fails. */
  onDown(problem: Problem): void;
}

/** The clients of one connection: the one in use, one that is tried as its replacement, and replaced ones. */
export interface Links {
  /** Creates a client with the current TLS settings. */
  create(): Link;
  /** From now on `onUp` and `onDown` report this link only. */
  use(link: Link): void;
  drop(client: RedisClient): void;
  /** Drops all clients. */
  close(): void;
  readonly isClosed: boolean;
}

export interface LinkDependencies {
  readonly tls: () => TlsSettings | undefined;
  /** In [0, 1). */
  readonly random: () => number;
  readonly wording: Wording;
}

export function createLinks(
  options: ConnectionOptions,
  { tls, random, wording }: LinkDependencies,
  events: StateEvents,
): Links {
  const terms = { name: certificateName(options), wording };
  const open = new Set<RedisClient>();
  let inUse: RedisClient | undefined;
  let isClosed = false;

  function drop(client: RedisClient): void {
    open.delete(client);
    client.disconnect();
  }

  /** ioredis ends a client forever when it hears of a failover during an attempt to connect. This one tries again. */
  function reconnect(client: RedisClient): void {
    const again = () => {
      if (open.has(client)) client.connect().catch(() => {});
    };
    setTimeout(again, retryDelay(1, random())).unref();
  }

  return {
    create() {
      const client = createClient(options, tls(), random);
      open.add(client);
      client.on('end', () => reconnect(client));
      const state = watchState(client, terms, {
        onProblem: events.onProblem,
        onUp: () => {
          if (client === inUse) events.onUp();
        },
        onDown: (problem) => {
          if (client === inUse && !isClosed) events.onDown(problem);
        },
      });
      return { client, state };
    },
    use(link) {
      inUse = link.client;
    },
    drop,
    close() {
      isClosed = true;
      for (const client of open) drop(client);
    },
    get isClosed() {
      return isClosed;
    },
  };
}

/** Listens to a client from the beginning: ioredis prints an error event without a listener to stderr. */
function watchState(client: RedisClient, terms: ProblemTerms, events: StateEvents): ConnectionState {
  let problem: Problem | undefined;
  let isUp: boolean | undefined;

  function noteProblem(error: unknown): void {
    problem = problemOf(error, terms);
    events.onProblem(problem);
  }
  function noteDown(): void {
    if (isUp === false) return;
    isUp = false;
    events.onDown(problem ?? closed);
  }

  client.on('error', noteProblem);
  client.on('ready', () => {
    problem = undefined;
    isUp = true;
    events.onUp();
  });
  client.on('close', noteDown);
  if (client instanceof Cluster) {
    // The other nodes still work, so the connection is not down.
    client.on('node error', noteProblem);
  } else {
    // While no sentinel answers, there is no connection that could close.
    client.on('error', noteDown);
    disconnectOnRefusal(client);
  }
  return {
    get isUp() {
      return isUp;
    },
    get problem() {
      return problem;
    },
  };
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
