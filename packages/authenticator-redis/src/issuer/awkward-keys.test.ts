import type { RedisClient } from '@sallyport/redis-connection';
import { errorOf } from '@sallyport/test-servers/error-of';
import { redisForFile } from '@sallyport/test-servers/redis-for-file';
import { beforeEach, describe, expect, test } from 'vitest';
import { type LayoutName, layouts } from '../layouts.ts';
import type { Store } from '../store.ts';
import { type InterruptedStore, interruptedStore } from '../testing/interrupted-store.ts';
import { collect, never } from '../testing/plugin.ts';
import { keyOf, storeToken } from '../testing/records.ts';
import { digestToken } from '../token.ts';
import { createToken } from './create-token.ts';
import { listTokens } from './list-tokens.ts';

const redis = await redisForFile();
beforeEach(async () => {
  await redis.client().flushall();
});

/** A store with some commands of its client replaced. */
function withCommands(
  { store }: InterruptedStore,
  commands: (client: RedisClient) => object,
): Store {
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
    connection: {
      ...connection,
      run: (work, signal) => connection.run((client) => work(wrap(client)), signal),
    },
  };
}

describe.each(Object.keys(layouts) as LayoutName[])(
  'tokens whose records are stored as %s',
  (layout) => {
    test('are listed once, also when SCAN returns their keys twice, as it may', async () => {
      const tokens = await Promise.all(
        Array.from({ length: 3 }, () => storeToken(redis.client(), layout, { username: 'ci' })),
      );
      await using interrupted = await interruptedStore({ url: redis.url, layout }, async () => {});
      const pages = [[...tokens, ...tokens], tokens.slice(1), tokens].map((page) =>
        page.map(keyOf),
      );
      const store = withCommands(interrupted, () => ({
        scan: async (cursor: string) => [
          cursor === '2' ? '0' : String(Number(cursor) + 1),
          pages[Number(cursor)],
        ],
      }));
      const listed = await collect(listTokens({}, store, false, never));
      expect(listed.map(({ digest }) => digest).sort()).toEqual(tokens.map(digestToken).sort());
    });

    test('that end between SCAN and their turn are not listed', async () => {
      const [stored, gone] = [
        await storeToken(redis.client(), layout, { username: 'ci' }),
        'sp_gone',
      ];
      await using interrupted = await interruptedStore({ url: redis.url, layout }, async () => {});
      const store = withCommands(interrupted, () => ({
        scan: async () => ['0', [keyOf(gone), keyOf(stored)]],
      }));
      expect(await collect(listTokens({}, store, false, never))).toEqual([
        { digest: digestToken(stored), user: { username: 'ci' } },
      ]);
    });

    test('never replace another record', async () => {
      await using interrupted = await interruptedStore({ url: redis.url, layout }, async () => {});
      const keys: string[] = [];
      const occupy = async (key: string) => {
        keys.push(key);
        await redis.client().set(key, 'of another system');
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
        const { message } = await errorOf(
          createToken({ ...request, ...lifetime }, store, {}, never),
        );
        expect(message).toBe(
          'Redis already has a record with the digest of this new token: try again',
        );
      }
      expect(keys).toHaveLength(2);
      for (const key of keys) {
        expect(await redis.client().get(key)).toBe('of another system');
        expect(await redis.client().pttl(key)).toBe(-1);
      }
    });
  },
);
