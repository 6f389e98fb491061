import { beforeEach, expect, test } from 'vitest';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import { redisOfFile } from '../shared-redis/testing/redis-of-file.ts';
import { endLogins } from './end-logins.ts';
import { publish } from './publish.ts';
import { applyChange, changeTowards, createEntryId, readListing } from './redis-list.ts';
import { revocationKeys } from './scripts.ts';
import { startReplica } from './testing/replicas.ts';

const hour = 3_600_000;
const options = { limit: 8_000, signal: new AbortController().signal };
const jane = { name: 'corp:jane', by: 'login', reason: 'logout everywhere' };

const file = redisOfFile();
beforeEach(async () => {
  // Where there is a list already, no one waits for replicas to write it back.
  await file.redis.client().set(revocationKeys('sallyport:').revision, 'begun');
});

test('logins that began before end on all replicas, and no others', async () => {
  const { redis: server, opened } = file;
  await using one = await startReplica('one', server.port);
  await using two = await startReplica('two', server.port);
  const before = one.list.revision;
  const { revision, previousRevision, unconfirmed } = await endLogins(opened.redis, jane, options);
  expect([previousRevision, unconfirmed]).toEqual([0, 0]);
  for (const { list } of [one, two]) {
    expect(list.isRevoked(before, 'corp:jane', '')).toBe(true);
    expect(list.isRevoked(revision, 'corp:jane', '')).toBe(false);
    expect(list.isRevoked(before, 'corp:max', '')).toBe(false);
  }
  // A replica that hangs is waited for, but not for ever.
  two.hang();
  const again = await endLogins(opened.redis, jane, options);
  expect([again.previousRevision, again.unconfirmed]).toEqual([revision, 1]);
});

test.each([
  { kind: 'user', name: 'corp:jane' },
  { kind: 'all', name: '' },
] as const)(
  'a revocation of $kind that an administrator made before stays in force',
  async ({ kind, name }) => {
    const { redis: server, opened } = file;
    const draft = { action: 'revoke', kind, name, by: 'root' } as const;
    const { entry } = await publish(opened.redis, ({ now }) => ({
      ...draft,
      until: now + 9 * hour,
    }));
    await using one = await startReplica('one', server.port);
    const { previousRevision } = await endLogins(opened.redis, jane, options);
    expect(previousRevision).toBe(entry.revision);
    expect(one.list.isRevoked(entry.revision - 1, 'corp:jane', '')).toBe(true);
    const untilOf = one.list.entries.map(({ until }) => until);
    expect(Math.max(...untilOf)).toBe(entry.until);
  },
);

test("many users who end their logins at the same moment don't keep each other from it", async () => {
  const { opened } = file;
  const ended = await Promise.all(
    Array.from({ length: 60 }, (_, at) =>
      endLogins(opened.redis, { ...jane, name: `corp:${at}` }, { ...options, limit: 0 }),
    ),
  );
  expect(new Set(ended.map(({ revision }) => revision)).size).toBe(60);
});

/** Puts revocations of many users into the list. @param lastsFor milliseconds */
async function fill(redis: ProbedRedis, count: number, lastsFor: number): Promise<void> {
  const { now } = await readListing(redis);
  const until = now + lastsFor;
  const entries = Array.from({ length: count }, (_, at) => ({
    ...({ action: 'revoke', kind: 'user', name: `corp:${at}`, by: 'login' } as const),
    ...{ id: createEntryId(), revision: now + at, at: now, until, keptUntil: until },
  }));
  // One change adds a thousand.
  for (let added = 0; added < count; added += 1_000) {
    const listing = await readListing(redis);
    const change = changeTowards(entries, listing, redis.sealingKeys);
    await applyChange(redis, listing, change, { isWhole: true });
  }
}

test('thousands who log out everywhere leave half of the list to commands, until their entries end', async () => {
  const { redis: server, opened } = file;
  const now = { ...options, limit: 0 };
  await fill(opened.redis, 5_000, hour);
  await expect(endLogins(opened.redis, jane, now)).rejects.toThrow(/has 5000 entries/);
  await endLogins(opened.redis, { ...jane, name: 'corp:7' }, now);
  await publish(opened.redis, ({ now }) => ({
    ...{ action: 'block', kind: 'user', name: 'corp:jane', by: 'root' },
    until: now + hour,
  }));
  await server.client().flushall();
  await fill(opened.redis, 5_000, -1);
  await endLogins(opened.redis, jane, now);
});
