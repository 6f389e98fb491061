import { connect, type RedisConnection } from '@sallyport/redis-connection';
import { layouts } from '../layouts.ts';
import type { Store } from '../store.ts';
import { makeKeys, storeWording } from '../store.ts';
import { tracedContext } from './plugin.ts';
import { keyPrefix } from './records.ts';
import { settled } from './written-options.ts';

export interface InterruptedStore extends AsyncDisposable {
  readonly store: Store;
  /** Round trips so far. */
  readonly trips: number;
}

/**
 * A store on a real Redis that runs `happens` between round trips.
 *
 * @param written options of a config file
 * @param happens is called before each round trip, counted from 1
 */
export async function interruptedStore(
  written: Record<string, unknown>,
  happens: (trip: number) => Promise<void>,
): Promise<InterruptedStore> {
  const options = settled(written);
  const inner = await connect(options.connection, storeWording, tracedContext().context);
  let trips = 0;
  const connection: RedisConnection = {
    ...inner,
    async run(work, signal, timeout) {
      trips += 1;
      await happens(trips);
      return await inner.run(work, signal, timeout);
    },
  };
  return {
    store: {
      connection,
      keys: makeKeys(keyPrefix),
      layout: layouts[options.layout],
      now: Date.now,
    },
    get trips() {
      return trips;
    },
    [Symbol.asyncDispose]: () => inner.close(),
  };
}
