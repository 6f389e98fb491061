import { type RedisOptions, type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { type OpenedShared, openShared } from './opened-shared-redis.ts';

/** A Redis for all tests of a file or a describe, empty before each, and a connection to it. Both are there in its tests. */
export interface RedisOfFile {
  readonly redis: RedisServer;
  readonly opened: OpenedShared;
}

export function redisOfFile(options: RedisOptions = {}): RedisOfFile {
  const made: { redis?: RedisServer; opened?: OpenedShared } = {};
  const there = <Thing>(thing: Thing | undefined): Thing => {
    if (thing === undefined) throw new Error('it is started before the first test');
    return thing;
  };
  const file: RedisOfFile = {
    get redis() {
      return there(made.redis);
    },
    get opened() {
      return there(made.opened);
    },
  };
  beforeAll(async () => {
    made.redis = await startRedis({ settings: { appendonly: 'no' }, ...options });
    made.opened = await openShared(made.redis);
  });
  beforeEach(async () => {
    // The test before may have left calls in the background.
    await file.opened.quiet();
    await file.redis.client().flushall();
  });
  afterAll(async () => {
    await made.opened?.[Symbol.asyncDispose]();
    await made.redis?.[Symbol.asyncDispose]();
  });
  return file;
}
