import {
  type ProblemKind,
  type RedisClient,
  type RedisConnection,
  RedisProblem,
} from '@sallyport/redis-connection';
import { redisForFile } from '@sallyport/test-servers/redis-for-file';
import { expect, test } from 'vitest';
import { lookUp } from './authenticator.ts';
import { decideByRecord } from './decide.ts';
import { type LayoutName, layouts } from './layouts.ts';
import { makeKeys } from './store.ts';
import { never } from './testing/plugin.ts';
import { keyPrefix, storeToken } from './testing/records.ts';
import { digestToken } from './token.ts';

const redis = await redisForFile();

/** A connection that calls `happens` between the value and its time to live. */
function interrupted(happens: (key: string) => Promise<unknown>): RedisConnection {
  const client = redis.client();
  let read: Promise<unknown> | undefined;
  const wrapped = {
    // For a cluster the three commands are calls of their own, so that something can happen between them.
    isCluster: true,
    call(command: string, ...words: string[]) {
      read = client.call(command, ...words);
      return read;
    },
    echo: (key: string) => client.echo(key),
    async pttl(key: string) {
      await read;
      await happens(key);
      return await client.pttl(key);
    },
  };
  return {
    name: 'interrupted',
    run: (work) => work(wrapped as unknown as RedisClient),
    isReplicated: async () => undefined,
    describeProblem: String,
    async close() {},
  };
}

test.each(Object.keys(layouts) as LayoutName[])(
  'a record as %s that Redis deletes after it was read authenticates no one',
  async (name) => {
    const time = Date.UTC(2026, 5, 1);
    const now = () => time;
    const record = { username: 'robot', expiresAt: '2099-01-01T00:00:00Z' };
    const token = await storeToken(redis.client(), name, record);
    const found = async (happens: (key: string) => Promise<unknown>) => {
      const source = {
        connection: interrupted(happens),
        layout: layouts[name],
        keys: makeKeys(keyPrefix),
        now,
      };
      const { record: read, keyExpiresAt } =
        (await lookUp(digestToken(token), source, never)) ?? {};
      return read && decideByRecord(read, keyExpiresAt, now());
    };
    expect(await found(async () => {})).toMatchObject({ kind: 'authenticated' });
    expect(await found((key) => redis.client().pexpire(key, 60_000))).toMatchObject({
      kind: 'authenticated',
    });
    expect(await found((key) => redis.client().del(key))).toEqual({
      kind: 'rejected',
      reason: 'expired',
      subject: 'robot',
    });
    expect(await found(async () => {})).toBeUndefined();
  },
);

test.each<{ kind: ProblemKind; code: string }>([
  { kind: 'connection', code: 'unavailable' },
  { kind: 'timeout', code: 'unavailable' },
  { kind: 'server', code: 'unavailable' },
  { kind: 'cluster', code: 'unavailable' },
  { kind: 'node', code: 'failed' },
  // For example, this machine has no file descriptor left. An open circuit would lock all users out for longer.
  { kind: 'local', code: 'failed' },
])('a problem of the kind $kind is reported as $code', async ({ kind, code }) => {
  const connection: RedisConnection = {
    ...interrupted(async () => {}),
    run: () => Promise.reject(new RedisProblem(kind, 'the problem')),
  };
  const source = { connection, layout: layouts.json, keys: makeKeys(keyPrefix), now: Date.now };
  await expect(lookUp('0'.repeat(64), source, never)).rejects.toMatchObject({
    code,
    message: 'the problem',
  });
});
