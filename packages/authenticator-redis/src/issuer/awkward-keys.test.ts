import type { RedisClient } from '@sallyport/redis-connection';
import { errorOf } from '@sallyport/test-servers/error-of';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type InterruptedStore, interruptedStore } from '../../fixtures/interrupted-store.ts';
import { collect, never } from '../../fixtures/plugin.ts';
import { keyOf, storeToken } from '../../fixtures/records.ts';
import { type LayoutName, layouts } from '../record/layouts.ts';
import { digestToken } from '../token/digest.ts';
import { createToken } from './create-token.ts';
import { listTokens } from './list-tokens.ts';
import type { Store } from './store.ts';

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
beforeEach(async () => {
  await redis.client().flushall();
});
afterAll(() => redis?.[Symbol.asyncDispose]());

/** The same store, with some commands of its client done otherwise. */
function withCommands({ store }: InterruptedStore, commands: (client: RedisClient) => object): Store {
  const wrap = (client: RedisClient) =>
    new Proxy(client, {
      get(target, name) {
        const other: unknown = Reflect.get(commands(target), name);
        return other ?? Reflect.get(target, name, target);
      },
    });
  const { connection } = store;
  return {
    ...store,
    connection: { ...connection, run: (work, signal) => connection.run((client) => work(wrap(client)), signal) },
  };
}

describe.each(Object.keys(layouts) as LayoutName[])('tokens whose records are kept as %s', (layout) => {
  test('are listed once, also when SCAN gives their keys twice, as it may', async () => {
    const tokens = await Promise.all(
      Array.from({ length: 3 }, () => storeToken(redis.client(), layout, { username: 'ci' })),
    );
    await using interrupted = await interruptedStore(redis, layout, async () => {});
    const pages = [[...tokens, ...tokens], tokens.slice(1), tokens].map((page) => page.map(keyOf));
    const store = withCommands(interrupted, () => ({
      scan: async (cursor: string) => [cursor === '2' ? '0' : String(Number(cursor) + 1), pages[Number(cursor)]],
    }));
    const listed = await collect(listTokens({}, store, never));
    expect(listed.map(({ digest }) => digest).sort()).toEqual(tokens.map(digestToken).sort());
  });

  test('that end between SCAN and their turn are not listed', async () => {
    const [kept, gone] = [await storeToken(redis.client(), layout, { username: 'ci' }), 'sp_gone'];
    await using interrupted = await interruptedStore(redis, layout, async () => {});
    const store = withCommands(interrupted, () => ({ scan: async () => ['0', [keyOf(gone), keyOf(kept)]] }));
    expect(await collect(listTokens({}, store, never))).toEqual([
      { digest: digestToken(kept), user: { username: 'ci' } },
    ]);
  });

  test('are never put in the place of another', async () => {
    await using interrupted = await interruptedStore(redis, layout, async () => {});
    const keys: string[] = [];
    const occupy = async (key: string) => {
      keys.push(key);
      await redis.client().set(key, 'of somebody else');
    };
    const store = withCommands(interrupted, (client) => ({
      async set(key: string, ...rest: ['', 'NX']) {
        await occupy(key);
        return await client.set(key, ...rest);
      },
      async eval(script: string, count: number, key: string, ...rest: string[]) {
        await occupy(key);
        return await client.eval(script, count, key, ...rest);
      },
    }));
    const request = { user: { username: 'ci' }, issuedBy: 'jane' };
    for (const lifetime of [{}, { expiresAt: new Date(Date.now() + 3_600_000) }]) {
      const { message } = await errorOf(createToken({ ...request, ...lifetime }, store, never));
      expect(message).toBe('Redis holds a record under the digest of this new token: try again');
    }
    expect(keys).toHaveLength(2);
    for (const key of keys) {
      expect(await redis.client().get(key)).toBe('of somebody else');
      expect(await redis.client().pttl(key)).toBe(-1);
    }
  });
});
