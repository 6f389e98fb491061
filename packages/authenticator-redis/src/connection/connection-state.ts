import { Cluster } from 'ioredis';
import type { RedisClient } from './client.ts';
import { faultOf, type RedisFault } from './redis-fault.ts';

export interface StateEvents {
  /** Told of each fault of a connection, once for each try. */
  onFault(fault: RedisFault): void;
  onUp(): void;
  /** Told once, when what was up is so no more, or the first try failed. */
  onDown(fault: RedisFault): void;
}

/** What is known of one client's connection. */
export interface ConnectionState {
  /** Of the last try to connect; undefined while all is well. */
  readonly fault: RedisFault | undefined;
}

const closed: RedisFault = { kind: 'connection', problem: 'the connection was closed' };

/** Listens to a client from its birth to its end: an error event that nobody hears would be printed to stderr. */
export function watchState(client: RedisClient, name: string, events: StateEvents): ConnectionState {
  let fault: RedisFault | undefined;
  let isDown: boolean | undefined;

  function noteFault(error: unknown): void {
    fault = faultOf(error, name);
    events.onFault(fault);
  }
  function noteDown(): void {
    if (isDown === true) return;
    isDown = true;
    events.onDown(fault ?? closed);
  }

  client.on('error', noteFault);
  client.on('ready', () => {
    fault = undefined;
    isDown = false;
    events.onUp();
  });
  client.on('close', noteDown);
  if (client instanceof Cluster) {
    // One node of several: the others go on, so it is no news that all is down.
    client.on('node error', noteFault);
  } else {
    // With sentinels that do not answer, no connection is made that could close.
    client.on('error', noteDown);
  }
  return {
    get fault() {
      return fault;
    },
  };
}
