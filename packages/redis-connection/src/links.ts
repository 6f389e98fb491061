import type { TlsSettings } from '@sallyport/plugin-options';
import { createClient, type RedisClient } from './client.ts';
import { type ConnectionState, type StateEvents, watchState } from './connection-state.ts';
import { limitHandshake } from './handshake-limit.ts';
import { retryDelay } from './retry-delay.ts';
import { certificateName } from './server-name.ts';
import type { ConnectionOptions, Wording } from './types.ts';

/** A client, and what is known of its connection. */
export interface Link {
  readonly client: RedisClient;
  readonly state: ConnectionState;
}

/** The clients of one connection: the one in use, one that is tried to take its place, one that has been replaced. */
export interface Links {
  /** With the TLS settings of now. */
  create(): Link;
  /** From now on `onUp` and `onDown` tell of this one: what becomes of the others is no news. */
  use(link: Link): void;
  drop(client: RedisClient): void;
  /** Drops all. */
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
  const open = new Set<RedisClient>();
  let inUse: RedisClient | undefined;
  let isClosed = false;

  function drop(client: RedisClient): void {
    open.delete(client);
    client.disconnect();
  }

  /** News of a failover that come amid a try to connect have ioredis end, for good, what nobody wants to end. */
  function goOn(client: RedisClient): void {
    const again = () => {
      if (open.has(client)) client.connect().catch(() => {});
    };
    setTimeout(again, retryDelay(1, random())).unref();
  }

  return {
    create() {
      const client = createClient(options, tls(), random);
      open.add(client);
      client.on('end', () => goOn(client));
      limitHandshake(client, options.commandTimeout);
      const told: StateEvents = {
        onFault: events.onFault,
        onUp: () => {
          if (client === inUse) events.onUp();
        },
        onDown: (fault) => {
          if (client === inUse && !isClosed) events.onDown(fault);
        },
      };
      return { client, state: watchState(client, { name: certificateName(options), wording }, told) };
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
