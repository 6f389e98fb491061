import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { afterAll, afterEach, beforeAll, beforeEach, test, vi } from 'vitest';
import { checkRules, fleets } from './testing/random-histories.ts';

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis?.[Symbol.asyncDispose]());
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

test.each(fleets)('in any order of many events the rules hold, of $of', (fleet) =>
  checkRules(redis, fleet, 200),
);
