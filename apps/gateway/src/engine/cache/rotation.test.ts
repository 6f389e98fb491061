import { expect, test } from 'vitest';
import { openShared } from '../shared-redis/testing/opened-shared-redis.ts';
import { redisOfFile } from '../shared-redis/testing/redis-of-file.ts';
import {
  authenticated,
  type CachedReplica,
  createReplica,
  hour,
  noOpinion,
} from './testing/cached-replica.ts';
import { recordsIn } from './testing/records.ts';

const file = redisOfFile();

/** Has a replica with these keys and an empty memory do something, and waits for what it writes to Redis. */
async function withKeys<Result>(
  keys: string,
  use: (replica: CachedReplica) => Promise<Result>,
): Promise<Result> {
  await using opened = await openShared(file.redis, { keys });
  const result = await use(
    createReplica({ shared: opened.redis, answer: (token) => authenticated(`user of ${token}`) }),
  );
  await opened.quiet();
  return result;
}
const outcomeWith = (keys: string, token: string) =>
  withKeys(keys, (replica) => replica.outcome(token));

test('a new key is added as second, moved first, and the old one dropped: no step loses an answer', async () => {
  expect(await outcomeWith('A', 'one')).toBe('backend: user of one');
  // While the step is taken, replicas with both lists answer side by side.
  for (const keys of ['AB', 'A', 'AB'])
    expect(await outcomeWith(keys, 'one')).toBe('redis: user of one');
  expect(await outcomeWith('AB', 'two')).toBe('backend: user of two');
  for (const keys of ['A', 'AB', 'BA']) {
    for (const token of ['one', 'two'])
      expect(await outcomeWith(keys, token)).toBe(`redis: user of ${token}`);
  }
  expect(await outcomeWith('BA', 'three')).toBe('backend: user of three');
  for (const keys of ['AB', 'BA', 'B'])
    expect(await outcomeWith(keys, 'three')).toBe('redis: user of three');
  // What only the old key has sealed is looked up once more.
  for (const token of ['one', 'two'])
    expect(await outcomeWith('B', token)).toBe(`backend: user of ${token}`);
  for (const token of ['one', 'two', 'three'])
    expect(await outcomeWith('B', token)).toBe(`redis: user of ${token}`);
});

test('of records under both keys the younger one counts, whichever key is first', async () => {
  await withKeys('A', async (replica) => {
    replica.answer = () => authenticated('first');
    await replica.ask();
  });
  await withKeys('B', async (replica) => {
    replica.clocks.pass(1_000);
    replica.answer = () => authenticated('second');
    await replica.ask();
  });
  for (const keys of ['AB', 'BA']) {
    const source = await withKeys(keys, (replica) => {
      replica.clocks.pass(1_000);
      return replica.outcome();
    });
    expect(source).toBe('redis: second');
  }
});

test.each(['AB', 'BA'])(
  'a later refusal deletes a positive entry under either key: %s',
  async (keys) => {
    for (const key of ['A', 'B']) await outcomeWith(key, 'token');
    expect(await recordsIn(file.redis)).toHaveLength(2);
    await withKeys(keys, async (replica) => {
      // The entry is too old to be an answer, and young enough to be used stale.
      replica.clocks.set(hour / 2);
      replica.answer = () => noOpinion;
      expect(await replica.outcome()).toBe('backend: no-opinion');
    });
    expect(await recordsIn(file.redis)).toEqual([]);
  },
);
