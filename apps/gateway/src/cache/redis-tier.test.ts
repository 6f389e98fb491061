import { randomBytes } from 'node:crypto';
import type { Authenticated } from '@sallyport/authenticator';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createSealingKey, seal } from '../sealing/seal.ts';
import { keyPrefix, type OpenedShared, openShared } from '../shared-redis/testing/opened-shared-redis.ts';
import { nameOf, type Question } from './names.ts';
import { toEntry } from './record.ts';
import { createRedisTier, type RedisTier } from './redis-tier.ts';
import { anyYes } from './testing/arbitrary-decisions.ts';
import { createClocks, hour, minute, type TestClocks } from './testing/cached-replica.ts';
import { recordsIn } from './testing/records.ts';

let redis: RedisServer;
let opened: OpenedShared;
let clocks: TestClocks;
let tier: RedisTier;
beforeAll(async () => {
  redis = await startRedis();
  opened = await openShared(redis);
});
beforeEach(async () => {
  // Calls of the test before, behind its reviews.
  await opened.quiet();
  await redis.client().flushall();
  clocks = createClocks();
  tier = createRedisTier(opened.redis, clocks);
});
afterAll(async () => {
  await opened?.[Symbol.asyncDispose]();
  await redis?.[Symbol.asyncDispose]();
});

const question: Question = { token: 'token', audiences: ['a', 'b'], fingerprint: 'one' };
const jane: Authenticated = { kind: 'authenticated', user: { username: 'jane', groups: ['dev'] } };
const entryNow = (decision: Authenticated) => toEntry({ decision, answeredAt: clocks.wall(), revision: 0 }, clocks);
const secret = Buffer.alloc(32, 'A');
const keyOf = (one: Question, under: Uint8Array = secret) =>
  `${keyPrefix}cache:${nameOf(createSealingKey(under, keyPrefix).derive('cache names'), one)}`;

async function store(one: Question = question, decision = jane, lifetime = hour): Promise<string> {
  tier.set(one, entryNow(decision), lifetime);
  await opened.quiet();
  return (await redis.client().get(keyOf(one))) ?? '';
}
const resultOf = async (one: Question = question) => (await tier.get(one)).result;
/** What is under the question's key then. */
const resultWith = async (value: string | Buffer) => {
  await redis.client().set(keyOf(question), value, 'PX', hour);
  return resultOf();
};

describe('what is stored', () => {
  test('is found again, for every sound decision', async () => {
    await fc.assert(
      fc.asyncProperty(anyYes, async (decision) => {
        const { expiresAt } = decision;
        const sealed = await store(question, decision);
        const found = await tier.get(question);
        const isOver = expiresAt !== undefined && expiresAt.getTime() <= clocks.wall();
        expect([sealed === '', found.result]).toEqual(isOver ? [true, 'miss'] : [false, 'hit']);
        if (found.result === 'hit') expect(found.entry).toMatchObject({ decision, answeredAt: clocks.wall() });
        await redis.client().flushall();
      }),
    );
  });

  test('shows no name, group or audience, and ends with its lifetime', async () => {
    const sealed = await store();
    for (const text of ['jane', 'dev', 'token', 'user']) {
      expect(Buffer.from(sealed, 'base64').includes(text)).toBe(false);
      expect(sealed).not.toContain(Buffer.from(text).toString('base64').slice(0, 4));
    }
    expect(await recordsIn(redis)).toEqual([keyOf(question)]);
    const left = await redis.client().pttl(keyOf(question));
    expect(left).toBeGreaterThan(hour - 30_000);
    expect(left).toBeLessThanOrEqual(hour);
  });

  test('ends with its token where that comes first, and is not stored when that has ended or it is too large', async () => {
    const until = (time: number) => ({ ...jane, expiresAt: new Date(clocks.wall() + time) });
    await store(question, until(minute));
    expect(await redis.client().pttl(keyOf(question))).toBeLessThanOrEqual(minute);
    await redis.client().flushall();
    for (const time of [0, -minute]) expect(await store(question, until(time))).toBe('');
    expect(await store(question, jane, 0.5)).toBe('');
    const groups = Array.from({ length: 1_100 }, (_, count) => `${count}`.padStart(240, 'x'));
    expect(await store(question, { ...jane, user: { username: 'jane', groups } })).toBe('');
    expect(await store(question, { ...jane, user: { username: 'jane', groups: groups.slice(0, 1_000) } })).not.toBe('');
  });

  test('is gone when it is deleted, under each key', async () => {
    await store();
    tier.delete(question);
    await opened.quiet();
    expect(await recordsIn(redis)).toEqual([]);
  });
});

describe('a writer of that Redis without the key', () => {
  test('makes a record a miss by changing any bit', async () => {
    const stored = Buffer.from(await store());
    const results: Promise<string>[] = [];
    for (let bit = 0; bit < stored.length * 8; bit += 1) {
      const changed = Buffer.from(stored);
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      results.push(resultWith(changed));
      // The place is the same for all: one after the other.
      await results.at(-1);
    }
    expect(new Set(await Promise.all(results))).toEqual(new Set(['invalid']));
    expect(await resultWith(stored)).toBe('hit');
  });

  test('makes it a miss by other spellings of the same bytes, and by any other text', async () => {
    const stored = await store();
    const bytes = Buffer.from(stored, 'base64');
    for (const text of [
      '',
      ' ',
      `${stored}=`,
      ` ${stored}`,
      `${stored}\n`,
      `${stored}${stored}`,
      `${stored}AAAA`,
      bytes,
      bytes.toString('hex'),
      bytes.toString('base64url').concat('-'),
      'null',
      '{"user":{"username":"system:admin","groups":["system:masters"]}}',
      ...Array.from({ length: stored.length }, (_, length) => stored.slice(0, length)),
    ]) {
      expect(await resultWith(text)).toBe('invalid');
    }
  });

  test('can not move one to another place: token, audiences or authenticator', async () => {
    const root: Authenticated = { kind: 'authenticated', user: { username: 'root' } };
    const stored = await store({ ...question, token: 'of root' }, root);
    const others = [
      question,
      { ...question, audiences: [] },
      { ...question, token: 'of root', audiences: ['a'] },
      { ...question, token: 'of root', fingerprint: 'two' },
    ];
    for (const other of others) {
      await redis.client().set(keyOf(other), stored, 'PX', hour);
      expect(await resultOf(other)).toBe('invalid');
    }
    expect(await resultOf({ ...question, token: 'of root' })).toBe('hit');
  });

  test('can not mint one under another key, nor under the right one in another format', async () => {
    const name = keyOf(question).slice(`${keyPrefix}cache:`.length);
    const plain = (more: object = {}) =>
      Buffer.from(JSON.stringify({ answeredAt: clocks.wall(), revision: 0, keptFor: hour, user: jane.user, ...more }));
    const sealed = (key: Uint8Array, bytes = plain()) => seal(key, name, bytes);
    const own = createSealingKey(secret, keyPrefix).derive('cache records');
    expect(await resultWith(sealed(own).toString('base64'))).toBe('hit');
    for (const key of [secret, randomBytes(32), createSealingKey(secret, keyPrefix).derive('cache names')]) {
      expect(await resultWith(sealed(key).toString('base64'))).toBe('invalid');
    }
    // Another version of the gateway may have sealed these.
    const older = sealed(own);
    older[0] = 0;
    for (const one of [older, sealed(own, plain({ keptFor: undefined })), sealed(own, Buffer.from('jane'))]) {
      expect(await resultWith(one.toString('base64'))).toBe('invalid');
    }
  });

  test('causes no throw by a value of another type', async () => {
    await redis.client().lpush(keyOf(question), 'a');
    expect(await resultOf()).toBe('error');
  });
});
