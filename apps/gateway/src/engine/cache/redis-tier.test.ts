import { randomBytes } from 'node:crypto';
import type { Authenticated } from '@sallyport/authenticator';
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { createSealingKey, seal } from '../sealing/seal.ts';
import { keyPrefix } from '../shared-redis/testing/opened-shared-redis.ts';
import { redisOfFile } from '../shared-redis/testing/redis-of-file.ts';
import { nameAnswer, nameUser, type Question } from './names.ts';
import { toEntry } from './record.ts';
import { createRedisTier, type RedisTier, readAnswersOfUser } from './redis-tier.ts';
import { anyPositive } from './testing/arbitrary-decisions.ts';
import { createClocks, hour, minute, type TestClocks } from './testing/cached-replica.ts';
import { recordsIn } from './testing/records.ts';
import { passInRedis } from './testing/redis-time.ts';

const file = redisOfFile();
let clocks: TestClocks;
let tier: RedisTier;
beforeEach(() => {
  clocks = createClocks();
  tier = createRedisTier(file.opened.redis, clocks);
});

const question: Question = { token: 'token', audiences: ['a', 'b'], fingerprint: 'one' };
const jane: Authenticated = { kind: 'authenticated', user: { username: 'jane', groups: ['dev'] } };
const entryNow = (decision: Authenticated) =>
  toEntry({ decision, answeredAt: clocks.wall(), revision: 0 }, clocks);
const secret = Buffer.alloc(32, 'A');
const keyOf = (one: Question, under: Uint8Array = secret) =>
  `${keyPrefix}cache:${nameAnswer(createSealingKey(under, keyPrefix).derive('cache names'), one)}`;

async function store(one: Question = question, decision = jane, lifetime = hour): Promise<string> {
  tier.set(one, entryNow(decision), lifetime);
  await file.opened.quiet();
  return (await file.redis.client().get(keyOf(one))) ?? '';
}
const resultOf = async (one: Question = question) => (await tier.get(one)).result;
/** What is under the question's key then. */
const resultWith = async (value: string | Buffer) => {
  await file.redis.client().set(keyOf(question), value, 'PX', hour);
  return resultOf();
};

describe('what is stored', () => {
  test('is found again, for every valid decision', async () => {
    await fc.assert(
      fc.asyncProperty(anyPositive, async (decision) => {
        const { expiresAt } = decision;
        const sealed = await store(question, decision);
        const found = await tier.get(question);
        const isOver = expiresAt !== undefined && expiresAt.getTime() <= clocks.wall();
        expect([sealed === '', found.result]).toEqual(isOver ? [true, 'miss'] : [false, 'hit']);
        if (found.result === 'hit')
          expect(found.entry).toMatchObject({ decision, answeredAt: clocks.wall() });
        await file.redis.client().flushall();
      }),
    );
  });

  test('shows no name, group or audience, and ends with its lifetime', async () => {
    const sealed = await store();
    for (const text of ['jane', 'dev', 'token', 'user']) {
      expect(Buffer.from(sealed, 'base64').includes(text)).toBe(false);
      expect(sealed).not.toContain(Buffer.from(text).toString('base64').slice(0, 4));
    }
    expect(await recordsIn(file.redis)).toEqual([keyOf(question)]);
    const left = await file.redis.client().pttl(keyOf(question));
    expect(left).toBeGreaterThan(hour - 30_000);
    expect(left).toBeLessThanOrEqual(hour);
  });

  test('ends with its token where that comes first, and is not stored when that has ended or it is too large', async () => {
    const until = (time: number) => ({ ...jane, expiresAt: new Date(clocks.wall() + time) });
    await store(question, until(minute));
    expect(await file.redis.client().pttl(keyOf(question))).toBeLessThanOrEqual(minute);
    await file.redis.client().flushall();
    for (const time of [0, -minute]) expect(await store(question, until(time))).toBe('');
    expect(await store(question, jane, 0.5)).toBe('');
    const groups = Array.from({ length: 1_100 }, (_, count) => `${count}`.padStart(240, 'x'));
    expect(await store(question, { ...jane, user: { username: 'jane', groups } })).toBe('');
    expect(
      await store(question, {
        ...jane,
        user: { username: 'jane', groups: groups.slice(0, 1_000) },
      }),
    ).not.toBe('');
  });

  test('is as old as the clock of Redis says, and is over when its time to live was changed', async () => {
    await store();
    await passInRedis(file.redis, minute);
    const ages = async () => {
      const found = await tier.get(question);
      if (found.result !== 'hit') throw new Error(found.result);
      const { answeredMonotonic, expiresMonotonic } = found.entry;
      return {
        age: clocks.monotonic() - answeredMonotonic,
        left: expiresMonotonic - clocks.monotonic(),
      };
    };
    const { age, left } = await ages();
    expect(age).toBeGreaterThanOrEqual(minute);
    expect(age + left).toBe(hour);
    // A clock that is behind makes it no younger, and one that is ahead makes it older.
    clocks.set(-hour);
    expect((await ages()).age).toBeGreaterThanOrEqual(minute);
    clocks.set(2 * hour);
    expect((await ages()).age).toBe(hour);
    for (const change of [10 * hour, 'persist'] as const) {
      const client = file.redis.client();
      await (change === 'persist'
        ? client.persist(keyOf(question))
        : client.pexpire(keyOf(question), change));
      expect(await ages()).toMatchObject({ left: 0 });
    }
  });

  test('is gone when it is deleted, under each key', async () => {
    await store();
    tier.delete(question);
    await file.opened.quiet();
    expect(await recordsIn(file.redis)).toEqual([]);
  });
});

describe('the answers of a user', () => {
  const bob: Authenticated = { kind: 'authenticated', user: { username: 'bob' } };
  const answersOf = async (username: string) => {
    const found = await readAnswersOfUser(file.opened.redis, clocks, {
      fingerprint: 'one',
      username,
    });
    return found.map(({ decision }) => decision.user.username);
  };
  const noteOf = (username: string) => {
    const key = createSealingKey(secret, keyPrefix).derive('cache users');
    return `${keyPrefix}cache-user:${nameUser(key, { fingerprint: 'one', username })}`;
  };

  test('are found by the name, for that config of the authenticator alone', async () => {
    for (const token of ['a', 'b']) await store({ ...question, token });
    await store({ ...question, token: 'c', fingerprint: 'two' });
    await store({ ...question, token: 'd' }, bob);
    expect([await answersOf('jane'), await answersOf('bob'), await answersOf('eve')]).toEqual([
      ['jane', 'jane'],
      ['bob'],
      [],
    ]);
  });

  test('are not those that a writer of that Redis notes, whatever it writes', async () => {
    const client = file.redis.client();
    await store();
    await store({ ...question, token: 'd' }, bob);
    const [ofBob] = Object.keys(await client.hgetall(noteOf('bob')));
    await client.hset(noteOf('jane'), {
      [String(ofBob)]: '1',
      'no name': '1',
      ['x'.repeat(43)]: '1',
    });
    expect(await answersOf('jane')).toEqual(['jane']);
    await client.hset(
      noteOf('jane'),
      Object.fromEntries(Array.from({ length: 1_000 }, (_, at) => [`f${at}`, '1'])),
    );
    expect(await answersOf('jane')).toEqual([]);
    await client.set(noteOf('bob'), 'text');
    expect(await answersOf('bob')).toEqual([]);
  });
});

describe('a writer of that Redis without the key', () => {
  // Which changes open no seal is proven in `engine/sealing/seal.test.ts`.
  test('makes a record a miss by a change of its bytes, by other spellings of them, and by any other text', async () => {
    const stored = await store();
    const bytes = Buffer.from(stored, 'base64');
    const flipped = [0, 1, 12, 13, bytes.length >> 1, bytes.length - 16, bytes.length - 1].map(
      (at) => {
        const changed = Buffer.from(bytes);
        changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
        return changed.toString('base64');
      },
    );
    for (const text of [
      ...flipped,
      ...[
        '',
        ' ',
        `${stored}=`,
        ` ${stored}`,
        `${stored}\n`,
        `${stored}${stored}`,
        `${stored}AAAA`,
      ],
      ...[
        bytes,
        bytes.toString('hex'),
        bytes.toString('base64url').concat('-'),
        stored.slice(0, -4),
        stored.slice(0, 9),
      ],
      ...['null', '{"user":{"username":"system:admin","groups":["system:masters"]}}'],
    ]) {
      expect(await resultWith(text)).toBe('invalid');
    }
    expect(await resultWith(stored)).toBe('hit');
  });

  test('cannot move one to another place: token, audiences or authenticator', async () => {
    const root: Authenticated = { kind: 'authenticated', user: { username: 'root' } };
    const stored = await store({ ...question, token: 'of root' }, root);
    const others = [
      question,
      { ...question, audiences: [] },
      { ...question, token: 'of root', audiences: ['a'] },
      { ...question, token: 'of root', fingerprint: 'two' },
    ];
    for (const other of others) {
      await file.redis.client().set(keyOf(other), stored, 'PX', hour);
      expect(await resultOf(other)).toBe('invalid');
    }
    expect(await resultOf({ ...question, token: 'of root' })).toBe('hit');
  });

  test('cannot mint one under another key, nor under the right one in another format', async () => {
    const name = keyOf(question).slice(`${keyPrefix}cache:`.length);
    const plain = (more: object = {}) =>
      Buffer.from(
        JSON.stringify({
          answeredAt: clocks.wall(),
          revision: 0,
          keptFor: hour,
          user: jane.user,
          ...more,
        }),
      );
    const sealed = (key: Uint8Array, bytes = plain()) => seal(key, name, bytes);
    const own = createSealingKey(secret, keyPrefix).derive('cache records');
    expect(await resultWith(sealed(own).toString('base64'))).toBe('hit');
    for (const key of [
      secret,
      randomBytes(32),
      createSealingKey(secret, keyPrefix).derive('cache names'),
    ]) {
      expect(await resultWith(sealed(key).toString('base64'))).toBe('invalid');
    }
    // Another version of the gateway may have sealed these.
    const older = sealed(own);
    older[0] = 0;
    for (const one of [
      older,
      sealed(own, plain({ keptFor: undefined })),
      sealed(own, Buffer.from('jane')),
    ]) {
      expect(await resultWith(one.toString('base64'))).toBe('invalid');
    }
  });

  test('causes no throw by a value of another type', async () => {
    await file.redis.client().lpush(keyOf(question), 'a');
    expect(await resultOf()).toBe('error');
  });
});
