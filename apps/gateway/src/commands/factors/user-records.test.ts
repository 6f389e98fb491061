import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  type OpenedShared,
  openShared,
} from '../../engine/shared-redis/testing/opened-shared-redis.ts';
import { redisOfFile } from '../../engine/shared-redis/testing/redis-of-file.ts';
import type { FactorUser } from '../../login/factors/factor-record.ts';
import { createFactorStore } from '../../login/factors/factor-store.ts';
import { createTestContext } from '../../testing/command-context.ts';
import { configOf, isDown, knows, knowsNot, type LookUp } from '../users/testing/look-ups.ts';
import type { FactorConfig } from './open-factors.ts';
import { findPeople } from './people.ts';
import { findUserRecords } from './user-records.ts';

const file = redisOfFile();
let opened: OpenedShared;
let other: OpenedShared;
beforeAll(async () => {
  opened = await openShared(file.redis, { keys: 'A' });
  other = await openShared(file.redis, { keys: 'B' });
});
afterAll(async () => {
  await Promise.all([opened, other].map((one) => one[Symbol.asyncDispose]()));
});
beforeEach(async () => {
  await file.redis.client().flushall();
});

const storeOf = ({ redis }: OpenedShared) => createFactorStore(redis, Date.now);

/** Adds a record with one app. */
function add(user: FactorUser, at = opened) {
  const app = { id: 'a', name: 'phone', addedAt: 1, secret: 'x', lastStep: 7 };
  return storeOf(at).change(user, () => ({
    record: {
      id: user.name,
      user,
      totp: [app],
      passkeys: [],
      recovery: [],
      version: 0,
      wrongCodes: 0,
      wrongSince: 0,
    },
    result: undefined,
  }));
}

/** A directory in which jane has this uid. */
const withUid =
  (uid: string): LookUp =>
  async (username) =>
    username === 'jane' ? { username, uid } : undefined;

function configWith(backends: Parameters<typeof configOf>[0]): FactorConfig {
  const login = { authenticators: Object.keys(backends), sessions: 'sessions', secondFactor: {} };
  return { ...configOf(backends), login } as unknown as FactorConfig;
}

const jane = { authenticator: 'corp', username: 'jane', name: 'corp:jane' };

/** What is found of corp:jane. */
async function find(corp: Parameters<typeof configOf>[0][string]) {
  const found = await findUserRecords(
    createTestContext(),
    configWith({ corp }),
    storeOf(opened),
    'corp:jane',
  );
  const { records, recordsOfOthers, unreadable } = found;
  return {
    records: records.map(({ identity, record }) => [identity.uid, record?.id]),
    recordsOfOthers: recordsOfOthers.length,
    unreadable,
    unasked: found.search.unasked.length,
  };
}
const nothing = { records: [], recordsOfOthers: 0, unreadable: 0, unasked: 0 };

describe('the records of a user', () => {
  test('are found by the name in them, while the directory is down and after the account is gone', async () => {
    await add({ ...jane, uid: '7' });
    const records = [['7', 'corp:jane']];
    expect(await find(isDown)).toEqual({ ...nothing, records, unasked: 1 });
    expect(await find(knowsNot)).toEqual({ ...nothing, records });
    expect(await find(withUid('7'))).toEqual({ ...nothing, records });
  });

  test('are found by the uid of a user who had another name', async () => {
    await add({ ...jane, uid: '7', username: 'jan', name: 'corp:jan' });
    expect(await find(withUid('7'))).toEqual({ ...nothing, records: [['7', 'corp:jan']] });
    expect(await find(isDown)).toEqual({ ...nothing, unasked: 1 });
  });

  test('leave out records of another account that had the name', async () => {
    await add({ ...jane, uid: '7' });
    expect(await find(withUid('8'))).toEqual({ ...nothing, recordsOfOthers: 1 });
  });

  test('stay with a refused user whose name is the login name of another one', async () => {
    await add({ ...jane, uid: '7' });
    const records = [['7', 'corp:jane']];
    const lookUp: LookUp = async () => ({ username: 'mallory', uid: '8' });
    const refuses = async () => ({ kind: 'rejected', reason: 'disabled' }) as const;
    expect(await find({ lookUp, revalidate: refuses })).toEqual({
      ...nothing,
      records,
      unasked: 1,
    });
    expect(await find(knows)).toEqual({ ...nothing, records });
  });

  test('are found by the name where the directory gives no uid, and where it gave none earlier', async () => {
    await add(jane);
    const records = [[undefined, 'corp:jane']];
    expect(await find(knows)).toEqual({ ...nothing, records });
    expect(await find(withUid('7'))).toEqual({ ...nothing, records });
  });

  test('are found by the directory if they can not be read', async () => {
    await add({ ...jane, uid: '7' }, other);
    await add({ ...jane, name: 'corp:other', username: 'other' }, other);
    const records = [['7', undefined]];
    expect(await find(withUid('7'))).toEqual({ ...nothing, records, unreadable: 2 });
    expect(await find(isDown)).toEqual({ ...nothing, unreadable: 2, unasked: 1 });
    await file.redis.client().flushall();
    await add(jane, other);
    const byName = [[undefined, undefined]];
    expect(await find(isDown)).toEqual({ ...nothing, records: byName, unreadable: 1, unasked: 1 });
  });

  test('leave out records of other users', async () => {
    await add({ ...jane, name: 'corp:jane2', username: 'jane2' });
    await add({ ...jane, authenticator: 'partner', name: 'partner:jane' });
    expect(await find(knows)).toEqual(nothing);
    expect(await file.redis.client().keys('*')).toHaveLength(2);
  });
});

describe('the people of a name', () => {
  const find = (backends: Parameters<typeof configOf>[0], name: string) =>
    findPeople(createTestContext(), configWith(backends), name);

  test('are in the order in which a login asks, and only where the prefix fits', async () => {
    const backends = {
      corp: { lookUp: knows, prefix: 'x:' },
      other: { lookUp: withUid('7'), prefix: 'x:' },
      lab: knows,
    };
    const { people } = await find(backends, 'x:jane');
    expect(people.map(({ user }) => user)).toEqual([
      { authenticator: 'corp', username: 'jane', name: 'x:jane' },
      { authenticator: 'other', username: 'jane', uid: '7', name: 'x:jane' },
    ]);
    expect(await find(backends, 'x:')).toEqual({ people: [], otherNames: [], unasked: [] });
  });

  test('have the names that Kubernetes sees: other spellings are named apart', async () => {
    const lowercase: LookUp = async (username) => ({ username: username.toLowerCase() });
    expect(await find({ corp: lowercase }, 'corp:Jane')).toEqual({
      people: [],
      otherNames: ['corp:jane'],
      unasked: [],
    });
  });

  test('are not known where a directory is down, can not be made, or has no lookUp and refuses them', async () => {
    const refuses = { revalidate: async () => ({ kind: 'rejected', reason: 'locked' }) as const };
    const { unasked } = await find(
      { a: { lookUp: isDown, prefix: 'x:' }, b: { ...refuses, prefix: 'x:' } },
      'x:jane',
    );
    expect(unasked).toEqual([
      { authenticator: 'a', reason: 'down' },
      { authenticator: 'b', reason: 'it says only that the user is refused: locked' },
    ]);
    expect((await find({ corp: 'broken' }, 'corp:jane')).unasked).toHaveLength(1);
  });

  test('are who has the name, and not another one who logs in by it', async () => {
    const lookUp: LookUp = async () => ({ username: 'mallory', uid: '8' });
    const known = async ({ username }: { readonly username: string }) =>
      ({ kind: 'authenticated', user: { username, uid: '7' } }) as const;
    const { people } = await find({ corp: { lookUp, revalidate: known } }, 'corp:jane');
    expect(people.map(({ user }) => user)).toEqual([{ ...jane, uid: '7' }]);
    const unknown = async () => ({ kind: 'rejected', reason: 'unknown-user' }) as const;
    expect(await find({ corp: { lookUp, revalidate: unknown } }, 'corp:jane')).toEqual({
      people: [],
      otherNames: ['corp:mallory'],
      unasked: [],
    });
  });

  test('are found by revalidate alone', async () => {
    const revalidate = async ({ username }: { readonly username: string }) =>
      username === 'jane'
        ? ({ kind: 'authenticated', user: { username, uid: '7' } } as const)
        : ({ kind: 'rejected', reason: 'unknown-user' } as const);
    const { people } = await find({ corp: { revalidate } }, 'corp:jane');
    expect(people.map(({ user }) => user)).toEqual([{ ...jane, uid: '7' }]);
    expect((await find({ corp: { revalidate } }, 'corp:max')).people).toEqual([]);
  });
});
