import type { AttemptOutcome } from '@sallyport/authenticator';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { keyPrefix } from './testing/opened-redis.ts';
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
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('begin' as const),
      replica: fc.nat(1),
      password: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      index: fc.nat(30),
      outcome: fc.constantFrom<AttemptOutcome>('accepted', 'refused', 'refused', 'unavailable'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('pass' as const), steps: fc.integer({ min: 1, max: 4 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('remove' as const, 'put back' as const, 'make up' as const) }),
  },
);

/** Someone who may write, and has every record that there ever was. */
function createWriter() {
  const records = new Map<string, readonly [string, string]>();
  let key: string | undefined;
  return {
    async hear() {
      const [found] = await redis.client().keys(`${keyPrefix}lockout:*`);
      key ??= found;
      if (key === undefined) return;
      const hash = await redis.client().hgetall(key);
      for (const [field, value] of Object.entries(hash)) records.set(`${field} ${value}`, [field, value]);
    },
    async write(what: 'remove' | 'put back' | 'make up') {
      if (key === undefined || records.size === 0) return;
      if (what === 'remove') await redis.client().del(key);
      if (what === 'put back') await redis.client().hset(key, ...[...records.values()].flat());
      if (what !== 'make up') return;
      const forged = [...records.values()].flatMap(([, value]) => {
        const [, , secret, mac] = value.split(' ');
        const at = Date.now();
        const refused = [`try:${crypto.randomUUID()}`, `refused ${at} ${secret} ${mac}`];
        return [...refused, `known:${secret}`, `right ${at} ${secret} ${mac}`];
      });
      await redis.client().hset(key, ...forged);
    },
  };
}

interface Tried {
  readonly replica: number;
  readonly password: string;
  readonly begun: Begun;
  /** When it went out, its secret had never been right. */
  isGuess?: boolean;
  refusedAt?: number;
  isSettled?: true;
}

test('whatever someone does to the records: what a replica knows goes out, and each holds to maxFailures', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(event, { maxLength: 40 }), async (events) => {
      await redis.client().flushall();
      await using all = await startReplicas(redis, { count: 2, maxFailures, abandonedAfter: 2_000_000_000 });
      all.settings.window = oddWindow;
      const writer = createWriter();
      const everRight = new Set<string>();
      /** By replica: what was right there and was refused nowhere since. */
      const known = [new Set<string>(), new Set<string>()];
      const tries: Tried[] = [];
      const seen = new Set<Tried>();
      let now = 0;
      const look = () => {
        for (const one of tries.filter(({ begun }) => begun.verdict !== undefined)) {
          if (seen.has(one)) continue;
          seen.add(one);
          const isDenied = one.begun.verdict === 'throttled' || one.begun.verdict === 'invalid-credentials';
          if (isDenied) expect(known[one.replica]).not.toContain(one.password);
          one.isGuess = !everRight.has(one.password);
        }
        for (const replica of [0, 1]) {
          const counted = tries.filter(
            ({ isGuess, refusedAt, ...one }) =>
              one.replica === replica && isGuess && refusedAt !== undefined && now - refusedAt < oddWindow,
          );
          expect(counted.length).toBeLessThanOrEqual(maxFailures);
        }
      };
      for (const one of events) {
        if (one.do === 'begin') {
          const { replica, password } = one;
          tries.push({ replica, password, begun: all.begin(replica, 'jane', password) });
        } else if (one.do === 'pass') {
          now += one.steps * step;
          await all.pass(one.steps * step);
        } else if (one.do === 'settle') {
          const inProgress = tries.filter(({ begun, isSettled }) => begun.verdict === 'admitted' && !isSettled);
          const tried = inProgress[one.index % Math.max(1, inProgress.length)];
          if (!tried) continue;
          tried.isSettled = true;
          if (one.outcome === 'accepted') {
            everRight.add(tried.password);
            known[tried.replica]?.add(tried.password);
          }
          if (one.outcome === 'refused') {
            for (const each of known) each.delete(tried.password);
            tried.refusedAt = now;
          }
          await tried.begun.settle(one.outcome);
        } else {
          await writer.write(one.do);
        }
        await all.settled();
        await writer.hear();
        look();
      }
    }),
    { numRuns: 150 },
  );
});
