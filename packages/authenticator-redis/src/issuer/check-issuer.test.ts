import { errorOf } from '@sallyport/test-servers/error-of';
import { startOpenLuaProxy } from '@sallyport/test-servers/open-lua-proxy';
import { newPassword } from '@sallyport/test-servers/passwords';
import { startRedis } from '@sallyport/test-servers/redis';
import { startCluster } from '@sallyport/test-servers/redis-cluster';
import { redisForFile } from '@sallyport/test-servers/redis-for-file';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { beforeEach, describe, expect, test } from 'vitest';
import { type LayoutName, layouts } from '../layouts.ts';
import { accessLists } from '../testing/access-lists.ts';
import { never, startIssuer } from '../testing/plugin.ts';

const password = newPassword();
const login = { username: 'minimal', password };

const redis = await redisForFile();
beforeEach(async () => {
  await redis.client().flushall();
  await redis.client().call('ACL', 'LOG', 'RESET');
});

const grant = (list: string) =>
  redis
    .client()
    .call('ACL', 'SETUSER', 'minimal', 'reset', 'on', `>${password}`, ...list.split(' '));

/** @param written more options. If they are left out, one user serves the gateway and the commands */
async function check(
  layout: LayoutName,
  uses = { sessions: false },
  written: object = {},
): Promise<readonly string[]> {
  await using started = await startIssuer({ url: redis.url, layout, ...login, ...written });
  return (await started.issuer.check?.(uses, never)) ?? ['there is no check'];
}

describe.each(Object.keys(layouts) as LayoutName[])(
  'check() of an issuer, with records as %s',
  (layout) => {
    const { gateway, issuer, sessionIssuer } = accessLists[layout];
    const rightsOf = (list: string) =>
      list.split(' ').flatMap((word) => (word.startsWith('+') ? [word.slice(1)] : []));

    test('warns of a server whose Lua has known holes', async () => {
      await using proxy = await startOpenLuaProxy(redis.port);
      await grant(issuer);
      const url = `redis://127.0.0.1:${proxy.port}`;
      expect(await check(layout, { sessions: false }, { url })).toEqual([
        expect.stringMatching(/CVE-2025-49844.*: update it to Redis 6\.2\.20, /),
      ]);
    });

    test('is satisfied with the minimal rights, and leaves nothing behind', async () => {
      await grant(issuer);
      expect(await check(layout, { sessions: false }, { trackLastUse: '10s' })).toEqual([]);
      await grant(sessionIssuer);
      expect(await check(layout, { sessions: true })).toEqual([]);
      expect(await redis.client().keys('*')).toEqual([]);
      expect(await redis.client().call('ACL', 'LOG')).toEqual([]);
    });

    const replication = ['role', 'wait'];
    const tracking = { trackLastUse: '10s' };
    test.each(rightsOf(sessionIssuer))('finds that the right to %s is missing', async (missing) => {
      await grant(`${sessionIssuer} -${missing}`);
      const found = () => check(layout, { sessions: true }, tracking);
      if (replication.includes(missing)) {
        expect(await found()).toEqual([
          expect.stringMatching(/^without the rights to ROLE and WAIT/),
        ]);
      } else if (missing === 'info') {
        const unknown =
          /^INFO failed, so it is unknown whether this Redis keeps its sessions: .*\(INFO\)/;
        expect(await found()).toEqual([expect.stringMatching(unknown)]);
      } else {
        const { message } = await errorOf(found());
        expect(message).toContain(
          `${redis.url}: the user is not allowed to do this (${missing.toUpperCase()}): compare its ACL`,
        );
      }
      expect(await redis.client().keys('*')).toEqual([]);
    });

    test('finds that another user for the commands may not write', async () => {
      await grant(gateway);
      const { message } = await errorOf(
        check(
          layout,
          { sessions: false },
          { username: undefined, password: undefined, admin: login },
        ),
      );
      expect(message).toMatch(
        /the user is not allowed to do this.*docs\/redis\.md \(Permissions\); options\.admin may name another user/,
      );
    });

    test('only warns where a gateway that reads has no user for the commands', async () => {
      await grant(gateway);
      expect(await check(layout)).toEqual([
        expect.stringMatching(
          /^some of `token create`, `token list` and `revoke` fail with this config.*the user is not allowed to do this/,
        ),
      ]);
    });
  },
);

test('check() of an issuer warns of a Redis that evicts, or does not persist', async () => {
  await using own = await startRedis();
  await using started = await startIssuer({ url: own.url });
  const found = () => started.issuer.check?.({ sessions: true }, never);
  const client = own.client();
  await client.config('SET', 'maxmemory-policy', 'allkeys-lru');
  expect(await found()).toEqual([
    expect.stringMatching(/^maxmemory-policy allkeys-lru may drop sessions/),
  ]);
  await client.config('SET', 'maxmemory-policy', 'noeviction');
  await client.config('SET', 'appendonly', 'no');
  expect(await found()).toEqual([
    expect.stringMatching(/no append-only file, and has made no snapshot since it started/),
  ]);
  await client.bgsave();
  await waitFor(
    async () => /rdb_last_bgsave_time_sec:\d/.test(await client.info('persistence')),
    'the snapshot',
  );
  expect(await found()).toEqual([
    expect.stringMatching(/a crash loses what was written after its last snapshot, at 20/),
  ]);
});

test('check() of an issuer asks each master of a cluster', async () => {
  await using cluster = await startCluster();
  const [, other] = await cluster.masters();
  await using started = await startIssuer({
    cluster: cluster.nodes.map(({ port }) => `127.0.0.1:${port}`),
  });
  expect(await started.issuer.check?.({ sessions: true }, never)).toEqual([]);
  await other?.client().config('SET', 'maxmemory-policy', 'volatile-ttl');
  expect(await started.issuer.check?.({ sessions: true }, never)).toEqual([
    expect.stringMatching(/^maxmemory-policy volatile-ttl may drop sessions/),
  ]);
});
