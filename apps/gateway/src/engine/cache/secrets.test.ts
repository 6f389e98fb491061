import { randomBytes } from 'node:crypto';
import { getHeapSnapshot } from 'node:v8';
import type { Decision } from '@sallyport/authenticator';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { describe, expect, test } from 'vitest';
import { redisOfFile } from '../shared-redis/testing/redis-of-file.ts';
import {
  authenticated,
  type CachedReplica,
  createReplica,
  lifetimes,
  noOpinion,
} from './testing/cached-replica.ts';

const file = redisOfFile();

/** Which of them, each written backwards as bytes, are in the memory of this process as text that something refers to. */
async function stillHeld(reversed: readonly Buffer[]): Promise<number[]> {
  const needles = reversed.map((bytes) => Buffer.from(bytes).reverse());
  const found = new Set<number>();
  let rest = Buffer.alloc(0);
  for await (const chunk of getHeapSnapshot()) {
    const text = Buffer.concat([rest, chunk]);
    for (const [index, needle] of needles.entries()) if (text.includes(needle)) found.add(index);
    rest = text.subarray(-200);
  }
  return [...found];
}

/** A token with a name and a password in it, as LDAP's is: names are cut out of it, which V8 does without a copy. */
function newToken(name: string): string {
  return `${name.padEnd(40, '.')}:${randomBytes(24).toString('hex')}`;
}
const nameIn = (token: string) => token.slice(0, token.indexOf(':'));
const passwordOf = (token: string) => Buffer.from(token.slice(token.indexOf(':') + 1)).reverse();

/** As backends answer: with names that they have cut out of the token. */
function answer(token: string): Decision {
  if (token.startsWith('good'))
    return authenticated(nameIn(token), { groups: [token.slice(0, 20)] });
  if (token.startsWith('bad'))
    return { kind: 'rejected', reason: 'invalid-credentials', subject: nameIn(token) };
  if (token.startsWith('unknown')) return noOpinion;
  throw new Error('down');
}

/** Uses answers of each kind: looked up, found in memory, waited for, found in Redis by another replica, and stale. */
async function useAll(replicas: readonly CachedReplica[]): Promise<Buffer[]> {
  const tokens = ['good', 'bad', 'unknown', 'broken'].map(newToken);
  for (const replica of replicas) {
    for (const token of tokens) {
      const controller = new AbortController();
      const gone = replica.ask(token, [], controller.signal).catch(() => {});
      const both = [replica.ask(token), replica.ask(token)];
      controller.abort(new Error('gone'));
      await Promise.allSettled([gone, ...both]);
      await replica.ask(token).catch(() => {});
    }
    await file.opened.quiet();
  }
  for (const replica of replicas) {
    replica.clocks.pass(lifetimes.authenticatedTtl);
    replica.answer = async () => {
      throw new Error('down');
    };
    for (const token of tokens) await replica.ask(token).catch(() => {});
  }
  await file.opened.quiet();
  return tokens.map(passwordOf);
}

describe('no token or password', () => {
  test('is referenced after its lookup has ended', async () => {
    const replicas = [1, 2].map(() => createReplica({ shared: file.opened.redis, answer }));
    const passwords = await useAll(replicas);
    const cached = newToken('cached');
    expect(await stillHeld([...passwords, passwordOf(cached)])).toEqual([passwords.length]);
    // Both are where the answers are cached.
    expect([replicas.length, cached.length, replicas[0]?.memory.entries]).toEqual([2, 89, 3]);
  });

  test('is sent to Redis, as a key or encoded in any way', async () => {
    const monitor = await file.redis.client().monitor();
    const heard: string[] = [];
    monitor.on('monitor', (_, words: string[]) => heard.push(words.join(' ')));
    const secrets = (await useAll([createReplica({ shared: file.opened.redis, answer })])).map(
      (each) => each.reverse(),
    );
    await file.redis.client().echo('the end');
    await waitFor(() => heard.some((words) => words.includes('the end')), 'all that was said');
    monitor.disconnect();
    const said = heard.join('\n');
    expect(said).toMatch(/set sallyport:cache:[\w-]{43} \S+ PX \d+/i);
    for (const secret of [...secrets, Buffer.from('good....'), Buffer.from('bad.....')]) {
      for (const encoding of ['utf8', 'hex', 'base64', 'base64url'] as const) {
        expect(said).not.toContain(secret.toString(encoding).slice(0, 10));
      }
    }
  });

  test('is in a label of a metric, or in the printed form of the Redis tier', async () => {
    const replica = createReplica({ shared: file.opened.redis, answer });
    await useAll([replica]);
    expect([...replica.labels].sort()).toEqual(['corp', 'hit', 'memory', 'miss', 'redis', 'stale']);
    expect(file.opened.lines).toEqual([]);
  });
});
