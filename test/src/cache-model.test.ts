import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { waitFor } from '@sallyport/test-servers/wait-for';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type CacheSetup, sealingKey, shared, startReplicas } from './testing/cache-gateway.ts';
import { CacheModel, lifetimes } from './testing/cache-model.ts';
import { startScriptedBackend } from './testing/scripted-backend.ts';
import { randomToken } from './testing/tokens.ts';

const users = ['jane', 'john'];
const tokens = [randomToken(), randomToken(), randomToken()];

const gateway = fc.nat(1);
const token = fc.constantFrom(...tokens);
const subject = fc.oneof(fc.record({ user: fc.constantFrom(...users) }), fc.record({ token }));

const step = fc.oneof(
  { weight: 60, arbitrary: fc.record({ do: fc.constant('review' as const), gateway, token }) },
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant('set' as const),
      token,
      username: fc.constantFrom(...users),
      lifetime: fc.constantFrom(1_000, 60_000, 60_000, 60_000, undefined),
    }),
  },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('pass' as const), time: fc.constantFrom(100, 700, 1_500) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('expire' as const) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('down' as const), isDown: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('revoke' as const), subject: fc.oneof(subject, fc.constant({})) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('block' as const, 'unblock' as const), subject }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('redis' as const), isUp: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('flush' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const), gateway, isKilled: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('reload' as const), gateway }) },
);

type Step = typeof step extends fc.Arbitrary<infer One> ? One : never;

const stepCount = 200;

async function take(one: Step, model: CacheModel, redis: RedisServer): Promise<void> {
  switch (one.do) {
    case 'review':
      return model.review(one.gateway, one.token);
    case 'set':
      return model.set(one.token, one.username, one.lifetime);
    case 'pass':
      return pass(one.time);
    case 'expire':
      return expire(model);
    case 'down':
      return model.setDown(one.isDown);
    case 'redis':
      if (one.isUp !== redis.isRunning) await (one.isUp ? redis.start() : redis.stop());
      return;
    case 'flush':
      return flush(redis);
    case 'restart':
      // One that starts without Redis can't know who is stopped.
      if (!redis.isRunning) return;
      return model.restart(one.gateway, one.isKilled);
    case 'reload': {
      const replica = model.gateways[one.gateway];
      return replica?.reconfigure({});
    }
    default:
      await model.stop(one.do, one.subject);
      return reviewAll(model, tokens);
  }
}

async function reviewAll(model: CacheModel, all: readonly string[]): Promise<void> {
  for (const index of model.gateways.keys()) for (const each of all) await model.review(index, each);
}

async function pass(time: number): Promise<void> {
  const end = Date.now() + time;
  await waitFor(() => Date.now() >= end, 'time to pass');
}

/** A token that ends before any cache would let go of it. */
async function expire(model: CacheModel): Promise<void> {
  const short = randomToken();
  model.set(short, 'ada', 1_000);
  await reviewAll(model, [short]);
  model.set(short, 'ada', undefined);
  await pass(1_000);
  await reviewAll(model, [short]);
}

/** And waits for what the gateways write back: one that starts before that can't know of it. */
async function flush(redis: RedisServer): Promise<void> {
  if (!redis.isRunning) return;
  const client = redis.client();
  const list = 'sallyport:{revocations}:list';
  const before = await client.hlen(list);
  await client.flushall();
  await waitFor(async () => (await client.hlen(list)) >= before, 'the revocation list to be written back');
}

test('in any order of events no gateway lets a user in without an answer of the backend, when blocked, or too late', async () => {
  await using redis = await startRedis();
  const backend = await startScriptedBackend();
  const words = Object.fromEntries(Object.entries(lifetimes).map(([name, time]) => [name, `${time}ms`]));
  const circuit = { minimumCalls: 1_000_000 };
  const setup: CacheSetup = {
    authenticators: [shared(backend, 'corp', words, { circuit })],
    redis: { url: redis.url },
    keys: [sealingKey()],
  };
  const started = await startReplicas(2, setup);
  const model = new CacheModel(backend, setup, started.replicas);
  const steps = fc.sample(step, { numRuns: stepCount, seed: 20_300_101 });
  try {
    for (const [at, one] of tokens.entries()) model.set(one, users[at % users.length] ?? '', 60_000);
    for (const [at, one] of steps.entries()) {
      await take(one, model, redis).catch((error: unknown) => {
        const trail = steps
          .slice(0, at + 1)
          .map((taken) => JSON.stringify(taken))
          .slice(-40);
        throw new Error(`step ${at}, after\n${trail.join('\n')}`, { cause: error });
      });
    }
  } finally {
    for (const one of model.gateways) await one[Symbol.asyncDispose]();
  }
  const { asked, cached } = model.yeses;
  console.log(`${stepCount} steps: ${asked} yeses of the backend, ${cached} of a cache`);
  // Else the steps would show nothing.
  expect(Math.min(asked, cached)).toBeGreaterThan(5);
});
