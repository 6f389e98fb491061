import { randomUUID } from 'node:crypto';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { describe, expect, test } from 'vitest';
import { type Replicas, startReplicas } from './testing/replicas.ts';

/** Two attempts of each name are refused on each replica, and no more; a right secret goes out. */
async function decidesAlone({ send }: Replicas, name: string) {
  for (const replica of [0, 1]) {
    expect(await send(replica, name, 'right', 'accepted')).toBe('sent');
    expect(await send(replica, name, 'a', 'refused')).toBe('sent');
    expect(await send(replica, name, 'a', 'refused')).toBe('invalid-credentials');
    expect(await send(replica, name, 'b', 'refused')).toBe('sent');
    expect(await send(replica, name, 'c', 'refused')).toBe('throttled');
    expect(await send(replica, name, 'right', 'accepted')).toBe('sent');
  }
}

async function decidesWithOthers({ send }: Replicas, name: string) {
  expect(await send(0, name, 'a', 'refused')).toBe('sent');
  expect(await send(1, name, 'a', 'refused')).toBe('invalid-credentials');
  expect(await send(1, name, 'b', 'refused')).toBe('sent');
  expect(await send(0, name, 'c', 'refused')).toBe('throttled');
}

/** What one replica learns is in Redis. */
async function isShared({ send }: Replicas, redis: RedisServer, replica: number) {
  const before = await redis.client().dbsize();
  await send(replica, randomUUID(), 'right', 'accepted');
  return (await redis.client().dbsize()) > before;
}

/** What befalls it, and how that ends. */
interface Outage {
  readonly begin: (redis: RedisServer) => Promise<unknown>;
  readonly end: (redis: RedisServer) => Promise<unknown>;
  /** Milliseconds. It is short where no answer comes. */
  readonly timeoutWhenDown?: number;
  /** Default: each replica decides alone. */
  readonly decide?: typeof decidesAlone;
  /** It gives no answer, so only probes find out that it is down. */
  readonly isDown?: true;
}

const set = (name: string, value: string) => (redis: RedisServer) =>
  redis.client().config('SET', name, value);

const outages: Readonly<Record<string, Outage>> = {
  'is stopped': { begin: (redis) => redis.stop(), end: (redis) => redis.start() },
  hangs: {
    begin: (redis) => redis.hang(),
    end: (redis) => redis.kill().then(() => redis.start()),
    timeoutWhenDown: 100,
    isDown: true,
  },
  // It takes no slots, but lets a script that has removed something add as much: refusals are written, and so shared.
  'is full': {
    begin: set('maxmemory', '1'),
    end: set('maxmemory', '0'),
    decide: decidesWithOthers,
  },
  'is a replica': {
    begin: (redis) => redis.client().replicaof('127.0.0.1', redis.tlsPort),
    end: (redis) => redis.client().replicaof('NO', 'ONE'),
  },
  'allows too little': {
    begin: (redis) => redis.client().call('ACL', 'SETUSER', 'default', '-hset'),
    end: (redis) => redis.client().call('ACL', 'SETUSER', 'default', '+hset'),
  },
};

describe.each(Object.entries(outages))(
  'while Redis %s',
  (_, { begin, end, isDown = false, decide = decidesAlone, ...timeouts }) => {
    test('no login fails for it, and none has more attempts than a replica allows', async () => {
      await using redis = await startRedis();
      const state = { isDown: false };
      const options = { count: 2, maxFailures: 2, isDown: () => state.isDown, ...timeouts };
      await using all = await startReplicas(redis, options);
      await decidesWithOthers(all, 'before');
      await begin(redis);
      state.isDown = isDown;
      await decide(all, 'jane');
      await end(redis);
      state.isDown = false;
      await redis.client().ping();
      for (const replica of [0, 1])
        await waitFor(() => isShared(all, redis, replica), 'a replica to be back');
      expect(await all.send(0, 'jane', 'd', 'refused')).toBe('throttled');
      await decidesWithOthers(all, 'after');
    });
  },
);

describe('while Redis is late and not down', () => {
  async function startLateReplica(redis: RedisServer, maxFailures: number) {
    const state = { isDeaf: false, isDown: false };
    const late = await startReplicas(redis, {
      count: 1,
      maxFailures,
      isDeaf: () => state.isDeaf,
      isDown: () => state.isDown,
    });
    const healthy = await startReplicas(redis, { count: 1, maxFailures });
    return {
      state,
      late,
      healthy,
      async [Symbol.asyncDispose]() {
        await late[Symbol.asyncDispose]();
        await healthy[Symbol.asyncDispose]();
      },
    };
  }
  const tooSlow = /^AuthenticatorError.*cache Redis is too slow/;

  test('a secret that this replica does not know fails, and leaves no slot behind', async () => {
    await using redis = await startRedis();
    await using both = await startLateReplica(redis, 1);
    both.state.isDeaf = true;
    const attempts = ['a', 'b', 'a'].map((password) => both.late.begin(0, 'jane', password));
    await both.late.settled();
    expect(attempts.map(({ admission }) => admission)).toEqual([undefined, undefined, undefined]);
    for (const one of attempts) {
      await both.late.pass(1000);
      await both.late.settled();
      expect(one.admission).toMatch(tooSlow);
    }
    expect(await both.healthy.send(0, 'jane', 'b', 'refused')).toBe('sent');
    both.state.isDeaf = false;
    expect(await both.late.send(0, 'jane', 'c', 'refused')).toBe('throttled');
  });

  test('one that it knows goes out, and its outcome is reported', async () => {
    await using redis = await startRedis();
    await using both = await startLateReplica(redis, 2);
    await both.late.send(0, 'jane', 'right', 'accepted');
    both.state.isDeaf = true;
    expect(await both.late.send(0, 'jane', 'right', 'accepted')).toBe('sent');
    expect(await both.late.send(0, 'jane', 'right', 'refused')).toBe('sent');
    expect(await both.healthy.send(0, 'jane', 'right', 'refused')).toBe('invalid-credentials');
  });

  test('one that Redis alone knows is denied where there is no slot, and takes none with it', async () => {
    await using redis = await startRedis();
    await using both = await startLateReplica(redis, 1);
    await both.healthy.send(0, 'jane', 'right', 'accepted');
    expect(await both.late.send(0, 'jane', 'a', 'refused')).toBe('sent');
    both.state.isDeaf = true;
    expect(await both.late.send(0, 'jane', 'right', 'accepted')).toBe('throttled');
    // Were it in progress still, it would have to be waited for.
    expect(await both.healthy.send(0, 'jane', 'right', 'accepted')).toBe('sent');
  });

  test.each([
    { outcome: 'unavailable', next: 'admitted' },
    { outcome: 'refused', next: 'throttled' },
  ] as const)(
    'once it is found to be down this replica decides alone, and reports what it can: $outcome',
    async ({ outcome, next }) => {
      await using redis = await startRedis();
      await using both = await startLateReplica(redis, 1);
      both.state.isDeaf = true;
      both.state.isDown = true;
      const one = both.late.begin(0, 'jane', 'a');
      await both.late.settled();
      const other = both.healthy.begin(0, 'jane', 'b');
      await both.healthy.settled();
      expect([one.admission, other.admission]).toEqual(['admitted', undefined]);
      await one.settle(outcome);
      await both.late.settled();
      await both.healthy.settled();
      expect(other.admission).toBe(next);
    },
  );
});
