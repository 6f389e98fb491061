import { randomBytes } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Decision } from '@sallyport/authenticator';
import { expect, test } from 'vitest';
import { redisOfFile } from '../shared-redis/testing/redis-of-file.ts';
import { createMemoryTier } from './memory-tier.ts';
import { authenticated, createReplica, never, noOpinion, type Replica } from './testing/cached-replica.ts';

const { info: print } = console;

const file = redisOfFile();

const maxEntries = 2_000;
const users = 500;
const goodToken = (user: number) => `ldap:user-${user}:the right password of user ${user}`;

/** As a backend would, at once: right passwords, wrong ones of known users, and tokens of no one. */
function answer(token: string): Decision {
  const [kind, username = ''] = token.split(':');
  if (kind !== 'ldap') return noOpinion;
  const isRight = token === goodToken(Number(username.slice('user-'.length)));
  return isRight ? authenticated(username) : { kind: 'rejected', reason: 'invalid-credentials', subject: username };
}

const unknown = randomBytes(96).toString('base64url');

/** What an attacker sends: the n-th of many. */
function madeUp(n: number): readonly [string, string[]] {
  const audiences = n % 3 === 0 ? [] : [`https://audience-${n}.example.com`, 'kubernetes'];
  return [n % 2 === 0 ? `ldap:user-${n % users}:wrong ${n}` : `${unknown}${n}`, audiences];
}

const collect: () => void = (() => {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc');
})();
/** MiB of JavaScript objects and of what they hold outside of the heap. */
function memoryUsed(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 2 ** 20;
}

/** Reviews, as many at once as a busy gateway has. @returns the kinds of the answers, with how many of each */
async function review(replica: Replica, count: number, nth: (n: number) => readonly [string, readonly string[]]) {
  const kinds: Record<string, number> = {};
  const one = async (n: number) => {
    const [token, audiences] = nth(n);
    const { kind } = await replica.authenticator.authenticate(token, { audiences, signal: never });
    kinds[kind] = (kinds[kind] ?? 0) + 1;
  };
  for (let start = 0; start < count; start += atOnce) {
    const batch = Array.from({ length: Math.min(atOnce, count - start) }, (_, at) => start + at);
    await Promise.all(batch.map(one));
    // Of a flood, they would be what fills the memory.
    replica.looks.length = 0;
  }
  await file.opened.quiet();
  return kinds;
}
const atOnce = 100;

const flood = 20_000;

test('a flood of made-up questions evicts no good answer, puts nothing into Redis, and does not fill the memory', async () => {
  const memory = createMemoryTier(maxEntries);
  const replica = createReplica({ shared: file.opened.redis, memory, answer });
  const all = (user: number) => [goodToken(user), []] as const;
  await review(replica, users, all);
  const keys = (await file.redis.client().keys('*')).sort();
  // Of each user the answer, and the note of it.
  expect(keys).toHaveLength(users * 2);
  const before = memoryUsed();

  const start = performance.now();
  // Negative answers have reached their limit by then: what is more is growth.
  await review(replica, maxEntries * 2, madeUp);
  const filled = memoryUsed();
  const kinds = await review(replica, flood - maxEntries * 2, (n) => madeUp(n + maxEntries * 2));
  const seconds = (performance.now() - start) / 1_000;
  const after = memoryUsed();

  const perReview = (seconds * 1e6) / flood;
  print(`${flood} made-up questions: ${seconds.toFixed(1)} s, ${perReview.toFixed(1)} us each`);
  print(`memory: ${before.toFixed(1)} MiB before, ${filled.toFixed(1)} at the limit, ${after.toFixed(1)} after`);
  expect(Object.keys(kinds).sort()).toEqual(['no-opinion', 'rejected']);
  // 70 bytes of each question would be more.
  expect(after - filled).toBeLessThan(1);
  expect(memory.entries).toBe(users + maxEntries);
  expect(file.opened.errors).toEqual([]);
  expect((await file.redis.client().keys('*')).sort()).toEqual(keys);
  expect(replica.asked).toBe(users + flood);
  // Not one good answer is lost, in memory or in Redis.
  const fresh = createReplica({ shared: file.opened.redis, answer });
  for (const each of [replica, fresh]) expect(await review(each, users, all)).toEqual({ authenticated: users });
  expect([replica.asked, fresh.asked]).toEqual([users + flood, 0]);
});

test('good tokens with made-up audiences evict no answer of other users', async () => {
  const memory = createMemoryTier(1_000);
  const replica = createReplica({ shared: file.opened.redis, memory, answer });
  const others = (n: number) => [goodToken(n + 10), []] as const;
  await review(replica, 920, others);
  const before = memoryUsed();
  const count = 2_000;
  const kinds = await review(replica, count, (n) => [goodToken(n % 10), [`made up ${n}`]]);
  expect(kinds).toEqual({ authenticated: count });
  print(`memory: ${(memoryUsed() - before).toFixed(1)} MiB more after ${count} made-up audiences of good tokens`);
  expect(memory.entries).toBe(1_000);
  expect(await file.redis.client().dbsize()).toBe(920 * 2 + 10 * (8 + 1));
  const { asked } = replica;
  expect(await review(replica, 920, others)).toEqual({ authenticated: 920 });
  expect(replica.asked).toBe(asked);
  expect(memoryUsed() - before).toBeLessThan(10);
});
