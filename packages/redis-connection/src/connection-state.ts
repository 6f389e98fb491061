import { Cluster, type Redis } from 'ioredis';
import type { RedisClient } from './client.ts';
import { type FaultTerms, faultOf, isReplyError, type RedisFault } from './redis-fault.ts';

export interface StateEvents {
  /** Told of each fault of a connection, once for each try. */
  onFault(fault: RedisFault): void;
  onUp(): void;
  /** Told once, when what was up is so no more, or the first try failed. */
  onDown(fault: RedisFault): void;
}

/** What is known of one client's connection. */
export interface ConnectionState {
  /** Undefined before the first try has ended. */
  readonly isUp: boolean | undefined;
  /** Of the last try to connect; undefined while all is well. */
  readonly fault: RedisFault | undefined;
}

/** When nothing else is known. */
export const closed: RedisFault = { kind: 'connection', problem: 'the connection was closed' };

/** Listens to a client from its birth to its end: an error event that nobody hears would be printed to stderr. */
export function watchState(client: RedisClient, terms: FaultTerms, events: StateEvents): ConnectionState {
  let fault: RedisFault | undefined;
  let isUp: boolean | undefined;

  function noteFault(error: unknown): void {
    fault = faultOf(error, terms);
    events.onFault(fault);
  }
  function noteDown(): void {
    if (isUp === false) return;
    isUp = false;
    events.onDown(fault ?? closed);
  }

  client.on('error', noteFault);
  client.on('ready', () => {
    fault = undefined;
    isUp = true;
    events.onUp();
  });
  client.on('close', noteDown);
  if (client instanceof Cluster) {
    // One node of several: the others go on, so it is no news that all is down.
    client.on('node error', noteFault);
  } else {
    // With sentinels that do not answer, no connection is made that could close.
    client.on('error', noteDown);
    leaveWhenTurnedAway(client);
  }
  return {
    get isUp() {
      return isUp;
    },
    get fault() {
      return fault;
    },
  };
}

/**
 * When Redis refuses the database, ioredis goes on in database 0, which may be somebody else's: such a
 * connection is given up at once.
 */
function leaveWhenTurnedAway(client: Redis): void {
  client.on('error', (error) => {
    if (client.status !== 'connect' || !isReplyError(error)) return;
    client.disconnect(true);
    // Else it would be ready in a moment, and the next try come without a longer pause.
    client.status = 'close';
  });
}
