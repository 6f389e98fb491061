import { createHash } from 'node:crypto';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { keyPrefix } from '../shared-redis/testing/opened-shared-redis.ts';
import { abandonedAfter } from './local-guard.ts';
import { type Replicas, startReplicas, window } from './testing/replicas.ts';

/*
 * What someone does who may write the cache Redis and hears all that is said there, so that they have every record that
 * a gateway ever wrote, and no sealing key.
 */

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
beforeEach(async () => {
  await redis.client().flushall();
});
afterAll(() => redis?.[Symbol.asyncDispose]());

const day = 24 * 60 * 60 * 1000;

type Hash = Readonly<Record<string, string>>;

/** The hash of a name. */
async function hear(name = 'jane'): Promise<{ readonly key: string; readonly hash: Hash }> {
  const digest = createHash('sha256')
    .update(JSON.stringify(['corp', name]))
    .digest('base64url');
  const key = `${keyPrefix}lockout:{${digest}}`;
  return { key, hash: await redis.client().hgetall(key) };
}

async function useUp({ send, settings }: Replicas, replica: number, name = 'jane') {
  for (let index = 0; index < settings.maxFailures; index++) {
    expect(await send(replica, name, `wrong ${crypto.randomUUID()}`, 'refused')).toBe('sent');
  }
}

describe('forged records', () => {
  test('of refused attempts keep out no one, are removed, and counted', async () => {
    await using all = await startReplicas(redis);
    await all.send(0, 'jane', 'right', 'accepted');
    const { key, hash } = await hear();
    const [, , secret = '', mac = ''] = (Object.values(hash)[0] ?? '').split(' ');
    for (const text of [
      `refused ${Date.now()} ${secret}`,
      `refused ${Date.now()} ${secret} ${mac}`,
    ]) {
      await redis.client().hset(key, ...[1, 2, 3].flatMap((id) => [`try:${id}`, text]));
    }
    for (const replica of [0, 1, 2])
      expect(await all.send(replica, 'jane', 'right', 'accepted')).toBe('sent');
    expect(await all.send(2, 'jane', 'never seen', 'accepted')).toBe('sent');
    expect(Object.keys((await hear()).hash).filter((field) => field.startsWith('try:'))).toEqual(
      [],
    );
    expect(all.foreign.count).toBe(3);
  });

  test('keep out no one though they are written again after each call', async () => {
    await using all = await startReplicas(redis);
    await all.send(0, 'jane', 'right', 'accepted');
    const { key } = await hear();
    const client = redis.client();
    await client.ping();
    const monitor = await client.monitor();
    const writes: Promise<unknown>[] = [];
    monitor.on('monitor', (_, words: string[], source: string) => {
      if (source !== 'lua' && /^(eval|hdel)$/i.test(words[0] ?? '')) {
        const refused = `refused ${Date.now()} ${'x'.repeat(43)} ${'y'.repeat(43)}`;
        const fields = Array.from({ length: 20 }, () => [
          `try:${crypto.randomUUID()}`,
          refused,
        ]).flat();
        writes.push(client.hset(key, ...fields));
      }
    });
    for (let login = 0; login < 30; login++) {
      expect(
        await all.send(login % 3, 'jane', login < 15 ? 'right' : `new ${login}`, 'accepted'),
      ).toBe('sent');
    }
    monitor.removeAllListeners('monitor');
    monitor.disconnect();
    await Promise.all(writes);
    expect(all.foreign.count).toBeGreaterThan(100);
  });

  test('take no slots, and leave those of others taken', async () => {
    await using all = await startReplicas(redis, { maxFailures: 1 });
    await all.send(0, 'jane', 'right', 'accepted');
    const { key } = await hear();
    const forge = () =>
      redis.client().hset(key, `try:${crypto.randomUUID()}`, `refused ${Date.now()} x y`);
    await forge();
    const first = all.begin(0, 'jane', 'a');
    await all.settled();
    await forge();
    const second = all.begin(1, 'jane', 'b');
    await all.settled();
    expect([first.admission, second.admission]).toEqual(['admitted', undefined]);
    await first.settle('refused');
    await all.settled();
    expect(second.admission).toBe('throttled');
  });

  test('of right secrets let no guess through', async () => {
    await using all = await startReplicas(redis);
    await useUp(all, 0);
    const before = await hear();
    for (const replica of [0, 1, 2]) {
      const asked = all.begin(replica, 'jane', 'guess');
      await all.settled();
      expect(asked.admission).toBe('throttled');
    }
    const [refused = ''] = Object.values(before.hash);
    const [, , secret = '', mac = ''] = refused.split(' ');
    for (const value of [`${Date.now()}`, `right ${Date.now()} ${secret} ${mac}`]) {
      await redis.client().hset(before.key, `known:${secret}`, value);
      expect(await all.send(1, 'jane', 'guess', 'refused')).toBe('throttled');
      expect((await hear()).hash).not.toHaveProperty(`known:${secret}`);
    }
  });
});

describe('records that are put back', () => {
  test('of an attempt in progress keep out passwords that no replica knows, for 60 s and a window', async () => {
    await using all = await startReplicas(redis, { maxFailures: 1 });
    const one = all.begin(0, 'jane', 'right');
    await all.settled();
    const { key, hash } = await hear();
    await one.settle('accepted');
    await all.settled();
    await redis.client().hset(key, hash);
    const again = all.begin(0, 'jane', 'right');
    expect(await all.send(1, 'jane', 'new', 'accepted')).toBe('waits');
    await all.pass(1000);
    await all.settled();
    expect(again.admission).toBe('admitted');
    await again.settle('accepted');
    await all.pass(abandonedAfter);
    await redis.client().hset(key, hash);
    expect(await all.send(2, 'jane', 'new', 'accepted')).toBe('throttled');
    expect(await all.send(0, 'jane', 'right', 'accepted')).toBe('sent');
    await all.pass(window);
    await redis.client().hset(key, hash);
    expect(await all.send(2, 'jane', 'new', 'accepted')).toBe('sent');
  });

  test('keep out no password that was found right here while it waited', async () => {
    await using all = await startReplicas(redis, { maxFailures: 2 });
    const [, guess] = ['a', 'b'].map((secret) => all.begin(1, 'jane', secret));
    await all.settled();
    const { key, hash } = await hear();
    const [first, second] = ['right', 'right'].map((secret) => all.begin(0, 'jane', secret));
    await guess?.settle('unavailable');
    await all.settled();
    expect([first?.admission, second?.admission]).toEqual(['admitted', undefined]);
    await first?.settle('accepted');
    await all.pass(0);
    await redis.client().del(key);
    await redis.client().hset(key, hash);
    await all.settled();
    expect(second?.admission).toBe('admitted');
  });

  test('of a password that was changed cost an attempt for each replica, and only while it is sent', async () => {
    await using all = await startReplicas(redis);
    await all.send(0, 'jane', 'old', 'accepted');
    const { key, hash } = await hear();
    await useUp(all, 1);
    expect(await all.send(0, 'jane', 'old', 'refused')).toBe('sent');
    for (const replica of [1, 2]) {
      await redis.client().del(key);
      await redis.client().hset(key, hash);
      expect(await all.send(replica, 'jane', 'old', 'refused')).toBe('sent');
    }
    for (const replica of [0, 1, 2]) {
      await redis.client().del(key);
      await redis.client().hset(key, hash);
      expect(await all.send(replica, 'jane', 'old', 'refused')).toBe('invalid-credentials');
    }
    await all.pass(30 * day);
    await redis.client().hset(key, hash);
    await useUp(all, 2);
    await redis.client().hset(key, hash);
    expect(await all.send(2, 'jane', 'old', 'refused')).toBe('throttled');
  });
});

test('a secret that Redis alone knows is sent one at a time though the record of its attempt is removed', async () => {
  await using all = await startReplicas(redis, { maxFailures: 1 });
  await all.send(0, 'jane', 'old', 'accepted');
  const { key, hash } = await hear();
  await useUp(all, 1);
  const attempts = [];
  for (let count = 0; count < 6; count++) {
    await redis.client().del(key);
    await redis.client().hset(key, hash);
    attempts.push(all.begin(1, 'jane', 'old'));
    await all.settled();
  }
  const [first] = attempts;
  expect(attempts.filter(({ admission }) => admission !== undefined)).toEqual([first]);
  await first?.settle('refused');
  await all.settled();
  const admissions = attempts.map(({ admission }) => admission);
  expect(admissions).toEqual(['admitted', ...new Array(5).fill('invalid-credentials')]);
});

describe('a key that is', () => {
  test.each<{ name: string; write: (key: string) => Promise<unknown> }>([
    { name: 'of another type', write: (key) => redis.client().set(key, 'x') },
    {
      name: 'full of fields',
      write: (key) =>
        redis
          .client()
          .hset(
            key,
            ...Array.from({ length: 3_000 }, (_, index) => [`known:${index}`, 'x']).flat(),
          ),
    },
    {
      name: 'of a field as long as the whole memory may be',
      write: (key) => redis.client().hset(key, 'try:x', 'x'.repeat(5_000_000)),
    },
    {
      name: 'of a field with such a name',
      write: (key) => redis.client().hset(key, 'x'.repeat(5_000_000), 'x'),
    },
  ])('$name is cleared before anything of it is read', async ({ write }) => {
    await using all = await startReplicas(redis);
    await all.send(0, 'jane', 'a', 'refused');
    const { key } = await hear();
    await write(key);
    expect(await all.send(1, 'jane', 'right', 'accepted')).toBe('sent');
    expect(all.foreign.count).toBe(1);
    const { hash } = await hear();
    expect(JSON.stringify(hash).length).toBeLessThan(1_000);
    expect(await all.send(1, 'jane', 'b', 'refused')).toBe('sent');
    expect(await all.send(2, 'jane', 'b', 'refused')).toBe('invalid-credentials');
  });

  test.each<{ name: string; write: (key: string) => Promise<unknown> }>([
    { name: 'without an end', write: (key) => redis.client().persist(key) },
    { name: 'to end in a year', write: (key) => redis.client().pexpire(key, 365 * day) },
  ])('$name gets its own end back', async ({ write }) => {
    await using all = await startReplicas(redis);
    await all.send(0, 'jane', 'a', 'refused');
    const { key } = await hear();
    await write(key);
    await all.send(1, 'jane', 'b', 'refused');
    const left = await redis.client().pttl(key);
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(window + abandonedAfter);
  });
});
