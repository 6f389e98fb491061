import { isDeepStrictEqual } from 'node:util';
import { startRedis } from '@sallyport/test-servers/redis';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { sealText } from '../../engine/sealing/seal.ts';
import {
  keyPrefix,
  type OpenedShared,
  openShared,
} from '../../engine/shared-redis/testing/opened-shared-redis.ts';
import { redisOfFile } from '../../engine/shared-redis/testing/redis-of-file.ts';
import type { FactorRecord, FactorUser } from './factor-record.ts';
import { createFactorStore, digestIdentity, ForeignRecordError } from './factor-store.ts';
import { jane, max, start } from './testing/factor-parts.ts';

const file = redisOfFile();
let opened: OpenedShared;
let other: OpenedShared;
beforeAll(async () => {
  opened = await openShared(file.redis, { keys: 'AB' });
  other = await openShared(file.redis, { keys: 'BA' });
});
afterAll(async () => {
  await Promise.all([opened, other].map((one) => one[Symbol.asyncDispose]()));
});
let now = start;
beforeEach(() => {
  now = start;
});

/** What {@link digestIdentity} is made of. */
interface Identified {
  readonly authenticator: string;
  readonly username: string;
  readonly uid: string | null;
}

const storeOf = ({ redis }: OpenedShared) => createFactorStore(redis, () => now);
const store = () => storeOf(opened);
const client = () => file.redis.client();

function recordOf(user: FactorUser, more: Partial<FactorRecord> = {}): FactorRecord {
  return {
    id: `record of ${user.username}`,
    user,
    totp: [{ id: 'a', name: 'phone', addedAt: 1, secret: 'of the app', lastStep: 7 }],
    passkeys: [],
    recovery: ['digest of a code'],
    version: 0,
    wrongCodes: 0,
    wrongSince: 0,
    ...more,
  };
}
const put = (user: FactorUser, record = recordOf(user), kept = store()) =>
  kept.change(user, () => ({ record, result: 'put' }));

/** The keys of records, which say nothing about their users. */
async function keyOf(user: FactorUser): Promise<string> {
  const before = new Set(await client().keys('*'));
  if (
    !(await store()
      .read(user)
      .catch(() => true))
  )
    await put(user);
  const added = (await client().keys('*')).filter((key) => !before.has(key));
  const [key] = added;
  if (key === undefined) throw new Error('this user had a record before');
  return key;
}

describe('a record', () => {
  test('is read as it was written, on each replica, whatever key it has first', async () => {
    const passkey = {
      id: 'b',
      name: 'key',
      addedAt: 2,
      usedAt: 3,
      credential: 'c',
      publicKey: 'p',
      counter: 0,
      transports: ['usb'],
      isSynced: true,
    };
    const invitation = { digest: 'd', until: now + 1_000, at: 1, by: 'root', reason: 'new' };
    const record = recordOf(jane, { passkeys: [passkey], invitation, wrongCodes: 3 });
    expect(await put(jane, record)).toBe('put');
    expect(await store().read(jane)).toEqual(record);
    expect(await storeOf(other).read(jane)).toEqual(record);
    expect(await client().dbsize()).toBe(1);
    expect(await store().read(max)).toBeUndefined();
  });

  test('is of a uid, or else of a name, at one authenticator', async () => {
    const renamed = { ...jane, username: 'jane.doe', name: 'corp:jane.doe' };
    await put(jane);
    expect(await store().read(renamed)).toMatchObject({ user: jane });
    await store().change(renamed, (record) => ({ record, result: undefined }));
    expect(await store().read(jane)).toMatchObject({ user: renamed });
    const { uid: _, ...nameless } = jane;
    for (const stranger of [
      { ...jane, uid: '8' },
      { ...jane, authenticator: 'other' },
      nameless,
      { authenticator: 'corp', username: '7', name: 'corp:7' },
      { authenticator: 'corp', username: 'uid', uid: 'jane', name: 'x' },
    ])
      expect(await store().read(stranger)).toBeUndefined();
  });

  test('has a name that no other user has, whatever is in their names', () => {
    const text = fc
      .array(fc.constantFrom('a', 'uid', 'name', '"', ',', ':', ' ', '\n', '\0'), { maxLength: 3 })
      .map((parts) => parts.join(''));
    const user = fc.record({ authenticator: text, username: text, uid: fc.option(text) });
    const nameOf = ({ authenticator, username, uid }: Identified) =>
      digestIdentity({ authenticator, username, ...(uid !== null && { uid }) });
    // What separates the texts may also be in one of them.
    const near = fc
      .tuple(text, text, fc.constantFrom('name', 'uid'), fc.constantFrom('', ' ', ':', ',', '","'))
      .map(([first, last, kind, mark]) => {
        const userOf = (authenticator: string, end: string): Identified =>
          kind === 'uid'
            ? { authenticator, username: '', uid: end }
            : { authenticator, username: end, uid: null };
        return [userOf(first + mark + kind, last), userOf(first, kind + mark + last)] as const;
      });
    // A user with a uid is known by it alone.
    const identityOf = ({ authenticator, username, uid }: Identified) =>
      uid === null ? { authenticator, username } : { authenticator, uid };
    fc.assert(
      fc.property(fc.oneof(fc.tuple(user, user), near), ([first, second]) => {
        const isSame = isDeepStrictEqual(identityOf(first), identityOf(second));
        expect(nameOf(first) === nameOf(second)).toBe(isSame);
      }),
      { numRuns: 2_000 },
    );
  });

  test('shows nothing of its user or its secrets in Redis', async () => {
    await put(jane);
    const [key = ''] = await client().keys('*');
    expect(key).toMatch(/^sallyport:factor:[0-9a-f]{64}$/);
    const stored = (await client().get(key)) ?? '';
    const text = stored + Buffer.from(stored, 'base64').toString('latin1');
    for (const hidden of ['jane', 'corp', 'of the app', 'phone', 'digest of a code'])
      expect([hidden, text.includes(hidden)]).toEqual([hidden, false]);
    await put(jane);
    // Equal records differ there: no one sees whether a record has changed back.
    expect(await client().get(key)).not.toBe(stored);
  });

  test('is removed once', async () => {
    await put(jane);
    expect([await store().remove(jane), await store().remove(jane)]).toEqual([true, false]);
    expect(await store().read(jane)).toBeUndefined();
    expect(await client().dbsize()).toBe(0);
  });

  test('has no end with a factor, and ends with its invitation without one', async () => {
    const invitation = { digest: 'd', until: now + 60_000, at: now, by: 'root' };
    const key = await keyOf(max);
    const left = async () => await client().pttl(key);
    await put(max, recordOf(max, { totp: [], invitation }));
    const milliseconds = await left();
    expect([milliseconds > 0, milliseconds <= 60_000]).toEqual([true, true]);
    now += 59_000;
    await store().change(max, (record) => ({ record, result: undefined }));
    expect(await left()).toBeLessThanOrEqual(1_000);
    await put(max, recordOf(max, { invitation }));
    expect(await left()).toBe(-1);
    // A record that has neither ends immediately.
    await put(max, recordOf(max, { totp: [] }));
    await expect.poll(() => client().exists(key)).toBe(0);
  });

  test('is not stored if it is too long, and the earlier one stays', async () => {
    await put(jane);
    const long = recordOf(jane, { id: 'x'.repeat(64 * 1024) });
    await expect(put(jane, long)).rejects.toThrow('could not be read again');
    expect(await store().read(jane)).toEqual(recordOf(jane));
  });
});

describe('a record that no gateway wrote for this user', () => {
  /** What a store throws if it is asked for a user. Then it is not known whether they have a factor. */
  async function refusalsOf(user: FactorUser, kept = store()) {
    const read = kept.read(user);
    await expect(read).rejects.toBeInstanceOf(ForeignRecordError);
    const change = kept.change(user, () => ({ record: recordOf(user), result: undefined }));
    await expect(change).rejects.toBeInstanceOf(ForeignRecordError);
  }

  test('is foreign if it was moved, changed, cut off, or is anything else', async () => {
    const key = await keyOf(jane);
    const [own, foreign] = [(await client().get(key)) ?? '', await keyOf(max)];
    const bytes = Buffer.from(own, 'base64');
    bytes.writeUInt8((bytes.at(40) ?? 0) ^ 1, 40);
    for (const value of [
      (await client().get(foreign)) ?? '',
      bytes.toString('base64'),
      own.slice(0, -4),
      `${own} `,
      `${own}${own}`,
      'null',
      '{}',
      JSON.stringify(recordOf(jane)),
      '\0\xff',
      'x'.repeat(70_000),
    ]) {
      await client().set(key, value);
      await refusalsOf(jane);
      // No one has replaced it: it shows what happened.
      expect(await client().get(key)).toBe(value);
    }
    await client().set(key, own);
    expect(await store().read(jane)).toEqual(recordOf(jane));
  });

  test.each([
    { name: 'list', write: (key: string) => client().rpush(key, 'x') },
    { name: 'hash', write: (key: string) => client().hset(key, 'x', 'y') },
    { name: 'set', write: (key: string) => client().sadd(key, 'x') },
    { name: 'stream', write: (key: string) => client().xadd(key, '*', 'x', 'y') },
  ])('is foreign as a $name, and can be removed', async ({ write }) => {
    const key = await keyOf(jane);
    await client().del(key);
    await write(key);
    await refusalsOf(jane);
    expect(await store().remove(jane)).toBe(true);
    expect(await store().read(jane)).toBeUndefined();
  });

  test('is foreign with a key that the config does not have; an old key opens, and the next change uses the new one', async () => {
    const key = await keyOf(jane);
    await using c = await openShared(file.redis, { keys: 'C' });
    await refusalsOf(jane, storeOf(c));
    await using ca = await openShared(file.redis, { keys: 'CA' });
    expect(await storeOf(ca).read(jane)).toEqual(recordOf(jane));
    const before = await client().get(key);
    await storeOf(ca).change(jane, (record) => ({ record, result: undefined }));
    expect(await client().get(key)).not.toBe(before);
    expect(await storeOf(c).read(jane)).toEqual(recordOf(jane));
    await refusalsOf(jane);
  });

  test('is foreign if it is sealed for this user, but is not a record', async () => {
    const key = await keyOf(jane);
    const { id: _, ...without } = recordOf(jane);
    for (const bad of [
      without,
      { ...recordOf(jane), more: 1 },
      recordOf(jane, { wrongCodes: -1 }),
    ]) {
      await client().del(key);
      await expect(put(jane, bad as FactorRecord)).rejects.toThrow('could not be read again');
      const digest = key.slice(key.lastIndexOf(':') + 1);
      const [sealing] = opened.redis.sealingKeys;
      if (sealing === undefined) throw new Error('there is a key');
      await client().set(key, sealText(sealing, 'second factors', digest, JSON.stringify(bad)));
      await refusalsOf(jane);
    }
  });
});

test('a record of a name is foreign to a user with a uid: the config may have got one since', async () => {
  const { uid: _, ...named } = { uid: '', ...jane };
  const withUid = { ...named, uid: '77' };
  await put(named);
  expect(await store().readOwn(withUid)).toBeUndefined();
  await expect(store().read(withUid)).rejects.toBeInstanceOf(ForeignRecordError);
  await put(withUid);
  expect(await store().read(withUid)).toMatchObject({ user: withUid });
});

test('each call has the deadline of a command', async () => {
  const limits: (number | undefined)[] = [];
  const askWithin: typeof opened.redis.askWithin = (use, limit, work) => {
    limits.push(limit);
    return opened.redis.askWithin(use, limit, work);
  };
  const watched = createFactorStore({ ...opened.redis, askWithin }, () => now);
  await put(jane, recordOf(jane), watched);
  for await (const _ of watched.list());
  await watched.remove(jane);
  expect(new Set(limits)).toEqual(new Set([undefined]));
});

describe('a change', () => {
  /** A store on a replica, and what happens elsewhere after each of its calls. */
  const afterEachCall = (work: () => Promise<unknown>) =>
    createFactorStore(
      {
        keyPrefix,
        sealingKeys: opened.redis.sealingKeys,
        async askWithin(...call) {
          const answer = await opened.redis.askWithin(...call);
          await work();
          return answer;
        },
      },
      () => now,
    );

  test('begins again with what another replica has written, so that one of several wins', async () => {
    for (let round = 0; round < 20; round += 1) {
      await put(jane, recordOf(jane, { recovery: ['once'] }));
      const take = (kept: ReturnType<typeof store>) =>
        kept.change(jane, (record) =>
          record?.recovery.includes('once')
            ? { record: { ...record, recovery: [] }, result: 'won' }
            : { result: 'lost' },
        );
      const replicas = [store(), storeOf(other), store(), storeOf(other), store()];
      const results = await Promise.all(replicas.map(take));
      expect(results.toSorted()).toEqual(['lost', 'lost', 'lost', 'lost', 'won']);
    }
  });

  test('loses nothing of what others write at the same moment', async () => {
    await put(jane);
    const count = (kept: ReturnType<typeof store>) =>
      kept.change(jane, (record) => ({
        record: record && { ...record, wrongCodes: record.wrongCodes + 1 },
        result: undefined,
      }));
    await Promise.all(
      Array.from({ length: 16 }, (_, at) => count(at % 2 ? store() : storeOf(other))),
    );
    expect(await store().read(jane)).toMatchObject({ wrongCodes: 16 });
  });

  test('makes one record of two that begin without any', async () => {
    const make = (id: string, kept: ReturnType<typeof store>) =>
      kept.change(jane, (record) =>
        record === undefined
          ? { record: recordOf(jane, { id }), result: id }
          : { result: record.id },
      );
    const [one, two] = await Promise.all([make('one', store()), make('two', storeOf(other))]);
    expect(one).toBe(two);
  });

  test('does not bring a record back that was removed in between', async () => {
    await put(jane);
    const seen: (string | undefined)[] = [];
    // An administrator resets the user after the record was read.
    const kept = afterEachCall(async () => {
      if (seen.length === 0) await store().remove(jane);
    });
    await kept.change(jane, (record) => {
      seen.push(record?.id);
      return { record: record && { ...record, wrongCodes: 1 }, result: undefined };
    });
    expect(seen).toEqual(['record of jane', undefined]);
    expect(await client().dbsize()).toBe(0);
  });

  test('gives up on a record that keeps changing', async () => {
    await put(jane);
    let count = 0;
    const busy = afterEachCall(async () => {
      count += 1;
      await put(jane, recordOf(jane, { wrongCodes: count }));
    });
    const change = busy.change(jane, (record) => ({ record, result: 'done' }));
    await expect(change).rejects.toThrow('kept changing');
    expect(count).toBe(40);
  });
});

describe('a list of records', () => {
  test('has each once, and says that one can not be read', async () => {
    const users = Array.from({ length: 600 }, (_, at) => ({
      authenticator: 'corp',
      username: `user-${at}`,
      name: `corp:user-${at}`,
    }));
    for (const user of users) await put(user);
    await client().set(`${keyPrefix}factor:${'0'.repeat(64)}`, 'garbage');
    await client().rpush(`${keyPrefix}factor:${'1'.repeat(64)}`, 'garbage');
    await client().set(`${keyPrefix}cache-login:x`, 'of another part');
    await client().set(
      `${keyPrefix}factor:check-${'0'.repeat(58)}`,
      'a trial of `sallyport check`',
    );
    const found: (FactorRecord | undefined)[] = [];
    for await (const { record } of store().list()) found.push(record);
    const names = found.map((record) => record?.user.username);
    expect(names.filter((name) => name === undefined)).toHaveLength(2);
    expect(names.filter((name) => name !== undefined).toSorted()).toEqual(
      users.map(({ username }) => username).toSorted(),
    );
  });

  test('says which ones an older key has sealed, until a change seals them with the first key', async () => {
    await put(jane);
    await put(max, recordOf(max), storeOf(other));
    const older = async () => {
      const found: string[] = [];
      for await (const { record, hasOlderKey } of store().list())
        if (hasOlderKey) found.push(record?.user.name ?? '');
      return found;
    };
    expect(await older()).toEqual([max.name]);
    await store().change(max, (record) => ({ record, result: 'resealed' }));
    expect(await older()).toEqual([]);
    expect(await store().read(max)).toEqual(recordOf(max));
  });
});

test('nothing is known while Redis is down: each call throws what is not a foreign record', async () => {
  await using redis = await startRedis();
  await using connection = await openShared(redis);
  const kept = storeOf(connection);
  await put(jane, recordOf(jane), kept);
  await redis.stop();
  for (const work of [
    () => kept.read(jane),
    () => put(jane, recordOf(jane), kept),
    () => kept.remove(jane),
    () => kept.list().next(),
  ]) {
    const error = await work().then(
      () => 'no error',
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ name: 'RedisProblem' });
    expect(error).not.toBeInstanceOf(ForeignRecordError);
  }
  expect(connection.errors.every((use) => use === 'factor')).toBe(true);
});
