import type { AttemptOutcome } from '@sallyport/authenticator';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Begun, startReplicas, window } from './testing/replicas.ts';

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis?.[Symbol.asyncDispose]());

const maxFailures = 2;

/** Milliseconds. The window ends between two steps, so that what a run itself takes makes no difference. */
const step = 120_000;
const oddWindow = window - step / 2;

const event = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('begin' as const),
      replica: fc.nat(2),
      name: fc.constantFrom('jane', 'john'),
      password: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      index: fc.nat(30),
      outcome: fc.constantFrom<AttemptOutcome>('accepted', 'refused', 'refused', 'unavailable'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('pass' as const), steps: fc.integer({ min: 1, max: 4 }) }) },
);

interface Tried {
  readonly name: string;
  readonly pair: string;
  readonly begun: Begun;
  /** When it was sent, its secret was right the last time that anyone knew of. */
  known?: boolean;
  refusedAt?: number;
  isSettled?: true;
}

test('in any order of events on three replicas: no refused pair again, no right secret denied, no more refusals than allowed', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(event, { maxLength: 40 }), async (events) => {
      await redis.client().flushall();
      // No replica dies here: no try is given up for being in progress for long.
      await using all = await startReplicas(redis, { maxFailures, abandonedAfter: 2_000_000_000 });
      all.settings.window = oddWindow;
      const known = new Set<string>();
      const tries: Tried[] = [];
      const seen = new Set<Tried>();
      let now = 0;
      const isLate = ({ refusedAt }: Tried) => refusedAt !== undefined && now - refusedAt < oddWindow;
      const look = () => {
        for (const one of tries.filter(({ begun }) => begun.verdict !== undefined)) {
          if (seen.has(one)) continue;
          seen.add(one);
          if (one.begun.verdict === 'throttled') expect(known).not.toContain(one.pair);
          if (one.begun.verdict !== 'admitted') continue;
          expect(tries.filter((other) => other.pair === one.pair && isLate(other))).toEqual([]);
          one.known = known.has(one.pair);
        }
        for (const name of ['jane', 'john']) {
          const refused = tries.filter((one) => one.name === name && !one.known && isLate(one));
          expect(refused.length).toBeLessThanOrEqual(maxFailures);
        }
      };
      for (const one of events) {
        if (one.do === 'begin') {
          const { replica, name, password } = one;
          const begun = all.begin(replica, name, password);
          tries.push({ name, pair: `${name} ${password}`, begun });
        } else if (one.do === 'pass') {
          now += one.steps * step;
          await all.pass(one.steps * step);
        } else {
          const inProgress = tries.filter(({ begun, isSettled }) => begun.verdict === 'admitted' && !isSettled);
          const tried = inProgress[one.index % Math.max(1, inProgress.length)];
          if (!tried) continue;
          tried.isSettled = true;
          if (one.outcome === 'accepted') known.add(tried.pair);
          if (one.outcome === 'refused') {
            known.delete(tried.pair);
            tried.refusedAt = now;
          }
          await tried.begun.settle(one.outcome);
        }
        await all.settled();
        look();
      }
    }),
    { numRuns: 200 },
  );
});
