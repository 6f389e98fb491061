import {
  type AskedLogin,
  type LockoutDriver,
  type LockoutEvent,
  type LockoutOutcome,
  type LockoutRules,
  playHistory,
} from '@sallyport/test-servers/lockout-model';
import { createLockoutWriter, writerActs } from '@sallyport/test-servers/lockout-writer';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, test, vi } from 'vitest';
import { type Begun, startReplicas } from './testing/replicas.ts';

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis?.[Symbol.asyncDispose]());
// Logins wait for 1 s on the clock of the replicas, however slow this machine is.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Milliseconds. Windows end between two steps, so that what a run itself takes makes no difference. */
const step = 120_000;
const maxFailures = 2;

const asked = (begun: Begun): AskedLogin => ({
  get verdict() {
    const { verdict } = begun;
    if (verdict === 'admitted') return 'sent';
    return verdict === undefined || verdict === 'throttled' || verdict === 'invalid-credentials' ? verdict : 'failed';
  },
  settle: (outcome) => begun.settle(outcome),
});

/** @param count of replicas; they share what they know, unless someone writes that Redis */
async function play(events: readonly LockoutEvent[], count: number, hasWriter: boolean) {
  await redis.client().flushall();
  // No replica dies here: no try is given up for being in progress for long.
  await using all = await startReplicas(redis, { count, maxFailures, abandonedAfter: 2_000_000_000 });
  const rules: LockoutRules = { maxFailures, window: all.settings.window - step / 2, isShared: !hasWriter };
  all.settings.window = rules.window;
  const writer = createLockoutWriter(redis);
  const driver: LockoutDriver = {
    begin: ({ replica, name, secret }) => asked(all.begin(replica, name, secret)),
    pass: all.pass,
    disturb: writer.write,
    async settled() {
      await all.settled();
      if (hasWriter) await writer.hear();
    },
  };
  if (count === 1) all.alone.add(0);
  await playHistory(driver, events, rules);
}

test.each([
  { of: 'one process', count: 1, names: ['jane', 'john'], runs: 100 },
  { of: 'three replicas', count: 3, names: ['jane', 'john'], runs: 40 },
  { of: 'two replicas, whatever someone does to the records', count: 2, names: ['jane'], runs: 30, hasWriter: true },
])('in any order of events the rules hold, of $of', async ({ count, names, runs, hasWriter = false }) => {
  const login = fc.record({
    replica: fc.nat(count - 1),
    name: fc.constantFrom(...names),
    secret: fc.constantFrom('a', 'b', 'c', 'd'),
  });
  const logins = fc.array(login, { minLength: 1, maxLength: 3 });
  const outcome = fc.constantFrom<LockoutOutcome>('accepted', 'refused', 'refused', 'unavailable');
  const event = fc.oneof<fc.WeightedArbitrary<LockoutEvent>[]>(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('begin'), logins }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('settle'), index: fc.nat(30), outcome }) },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant('pass'), time: fc.integer({ min: 1, max: 4 }).map((n) => n * step) }),
    },
    {
      weight: hasWriter ? 2 : 0,
      arbitrary: fc.record({ do: fc.constant('disturb'), how: fc.constantFrom(...writerActs) }),
    },
  );
  // Long ones: in a short one hardly any subject is locked out, or known.
  const histories = fc.array(event, { minLength: 30, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(histories, (events) => play(events, count, hasWriter)),
    { numRuns: runs },
  );
});
