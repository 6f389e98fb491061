import { randomBytes } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Decision } from '@sallyport/authenticator';
import { expect, test } from 'vitest';
import { redisOfFile } from '../shared-redis/testing/redis-of-file.ts';
import { createMemoryTier } from './memory-tier.ts';
import {
  authenticated,
  type CachedReplica,
  createReplica,
  never,
  noOpinion,
} from './testing/cached-replica.ts';

const { info: print } = console;

const file = redisOfFile();

const maxEntries = 2_000;
const users = 500;
const goodToken = (user: number) => `ldap:user-${user}:the right password of user ${user}`;

/** Answers as a backend would, immediately: right passwords, wrong ones of known users, and tokens of no one. */
function answer(token: string): Decision {
  const [kind, username = ''] = token.split(':');
  if (kind !== 'ldap') return noOpinion;
  const isRight = token === goodToken(Number(username.slice('user-'.length)));
  return isRight
    ? authenticated(username)
    : { kind: 'rejected', reason: 'invalid-credentials', subject: username };
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

/** Reviews, as many at a time as a busy gateway has. */
async function review(
  replica: CachedReplica,
  count: number,
  nth: (n: number) => readonly [string, readonly string[]],
) {
  const one = async (n: number) => {
    const [token, audiences] = nth(n);
    await replica.authenticator.authenticate(token, { audiences, signal: never });
  };
  for (let start = 0; start < count; start += 100) {
    await Promise.all(
      Array.from({ length: Math.min(100, count - start) }, (_, at) => one(start + at)),
    );
    // In a flood, these would fill the memory.
    replica.looks.length = 0;
  }
  await file.opened.quiet();
}

test('a flood of forged questions does not fill the memory', async () => {
  const flood = 100_000;
  const memory = createMemoryTier(maxEntries);
  const replica = createReplica({ shared: file.opened.redis, memory, answer });
  await review(replica, users, (user) => [goodToken(user), []]);
  const before = memoryUsed();
  const start = performance.now();
  // Negative answers have reached their limit by then: what is more is growth.
  await review(replica, maxEntries * 2, madeUp);
  const filled = memoryUsed();
  await review(replica, flood - maxEntries * 2, (n) => madeUp(n + maxEntries * 2));
  const perReview = ((performance.now() - start) * 1_000) / flood;
  const after = memoryUsed();
  print(`${flood} forged questions: ${perReview.toFixed(1)} us each`);
  print(
    `memory: ${before.toFixed(1)} MiB before, ${filled.toFixed(1)} at the limit, ${after.toFixed(1)} after`,
  );
  // Ten bytes of each question would be more.
  expect(after - filled).toBeLessThan(1);
  expect(memory.entries).toBe(users + maxEntries);
});

test('good tokens with forged audiences do not fill the memory', async () => {
  const replica = createReplica({
    shared: file.opened.redis,
    memory: createMemoryTier(1_000),
    answer,
  });
  await review(replica, 920, (n) => [goodToken(n + 10), []]);
  const before = memoryUsed();
  const count = 2_000;
  await review(replica, count, (n) => [goodToken(n % 10), [`forged ${n}`]]);
  print(
    `memory: ${(memoryUsed() - before).toFixed(1)} MiB more after ${count} forged audiences of good tokens`,
  );
  expect(memoryUsed() - before).toBeLessThan(10);
});
