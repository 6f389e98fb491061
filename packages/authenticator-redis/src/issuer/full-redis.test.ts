import { randomUUID } from 'node:crypto';
import { errorOf } from '@sallyport/test-servers/error-of';
import { newPassword } from '@sallyport/test-servers/passwords';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { startCluster } from '@sallyport/test-servers/redis-cluster';
import { connectBehind, startTcpServer, type TcpServer } from '@sallyport/test-servers/tcp-server';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type LayoutName, layouts } from '../layouts.ts';
import { accessLists } from '../testing/access-lists.ts';
import { collect, never, outcomeOf, startAuthenticator, startIssuer } from '../testing/plugin.ts';
import { keyOf } from '../testing/records.ts';

const names = Object.keys(layouts) as LayoutName[];
const user = { username: 'ci' };
const request = { user, issuedBy: 'jane', expiresAt: new Date(Date.now() + 3_600_000) };
const session = { ...request, session: { describe: () => 'text', idle: 60_000 } };
const revocation = { at: new Date(Date.UTC(2026, 5, 1)), by: 'security' };

/** Makes Redis refuse commands that could add data. @param key a key of this server, in a cluster */
async function fill(redis: RedisServer, key: string = randomUUID()): Promise<void> {
  await redis.client().config('SET', 'maxmemory', '1');
  await expect(redis.client().append(key, 'x')).rejects.toThrow(/^OOM/);
}

const password = newPassword();

/** Makes the user `minimal`, who has these rights and no other. @returns its login */
async function grant(redis: RedisServer, rights: string) {
  await redis
    .client()
    .call('ACL', 'SETUSER', 'minimal', 'reset', 'on', `>${password}`, ...rights.split(' '));
  return { username: 'minimal', password };
}

const empty = (redis: RedisServer) => redis.client().config('SET', 'maxmemory', '0');

describe.each(['redis-server', 'valkey-server'] as const)('in a full %s', (program) => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis({ program });
  });
  afterAll(() => redis?.[Symbol.asyncDispose]());

  describe.each(names)('tokens and sessions as %s', (layout) => {
    test('are revoked, with who did it, and deleted; no session is made', async () => {
      const written = { url: redis.url, layout };
      await using started = await startIssuer({
        ...written,
        ...(await grant(redis, accessLists[layout].sessionIssuer)),
      });
      await using gateway = await startAuthenticator(written);
      const { issuer } = started;
      const [token, own, excess] = [
        await issuer.create(request, never),
        await issuer.create(session, never),
        await issuer.create(session, never),
      ];
      await fill(redis);
      try {
        for (const { issued } of [token, own]) {
          const [revoked] = await collect(
            issuer.revoke({ digest: issued.digest }, revocation, never),
          );
          expect(revoked).toMatchObject({ already: false, token: { revoked: revocation } });
        }
        await issuer.delete?.(excess.issued, never);
        for (const one of [token, own])
          expect(await outcomeOf(gateway.ask(one.token))).toBe('rejected: revoked');
        expect(await outcomeOf(gateway.ask(excess.token))).toBe('no-opinion');
        const { message } = await errorOf(issuer.create(session, never));
        expect(message).toBe(
          `${redis.url}: its memory is full (maxmemory): raise maxmemory, or remove other data`,
        );
      } finally {
        await empty(redis);
      }
    });
  });
});

test.each(names)('in a full cluster tokens as %s are revoked on each node', async (layout) => {
  await using cluster = await startCluster({ replicasPerMaster: 0 });
  const written = { cluster: cluster.nodes.map(({ port }) => `127.0.0.1:${port}`), layout };
  const rights = `${accessLists[layout].issuer} +cluster|slots`;
  const [login] = await Promise.all(cluster.nodes.map((node) => grant(node, rights)));
  await using started = await startIssuer({ ...written, ...login });
  await using gateway = await startAuthenticator(written);
  const made = await Promise.all(
    Array.from({ length: 30 }, () => started.issuer.create(request, never)),
  );
  const keys = made.map(({ token }) => keyOf(token));
  const masters = await Promise.all(keys.map(cluster.masterOf));
  expect(new Set(masters).size).toBe(cluster.nodes.length);
  for (const [at, master] of masters.entries()) await fill(master, keys[at]);
  expect(await collect(started.issuer.revoke({ username: 'ci' }, revocation, never))).toHaveLength(
    30,
  );
  for (const { token } of made)
    expect(await outcomeOf(gateway.ask(token))).toBe('rejected: revoked');
});

describe('in a full Redis before 7, which cannot compile a script with a first line for Redis 7', () => {
  let redis: RedisServer;
  let older: TcpServer;
  beforeAll(async () => {
    redis = await startRedis();
    // The compiler of Lua refuses this line as an older Redis refuses the real one.
    const spoil = (chunk: Buffer) =>
      Buffer.from(chunk.toString('latin1').replaceAll('#!lua', '#*lua'), 'latin1');
    older = await startTcpServer((client) => {
      const server = connectBehind(client, redis.port);
      client.on('data', (chunk) => server.write(spoil(chunk as Buffer)));
      server.on('data', (chunk) => client.write(chunk));
    });
  });
  afterAll(async () => {
    await older?.[Symbol.asyncDispose]();
    await redis?.[Symbol.asyncDispose]();
  });

  test.each(names)(
    'the record of a revoked token as %s is deleted, and no other',
    async (layout) => {
      const written = { url: `redis://127.0.0.1:${older.port}`, layout };
      await using started = await startIssuer({
        ...written,
        ...(await grant(redis, accessLists[layout].issuer)),
      });
      await using gateway = await startAuthenticator(written);
      const [gone, kept] = [
        await started.issuer.create(request, never),
        await started.issuer.create(request, never),
      ];
      await fill(redis);
      try {
        const [revoked] = await collect(
          started.issuer.revoke({ token: gone.token }, revocation, never),
        );
        expect(revoked).toMatchObject({ already: false, token: { revoked: revocation } });
        expect(await outcomeOf(gateway.ask(gone.token))).toBe('no-opinion');
        expect(await outcomeOf(gateway.ask(kept.token))).toBe('authenticated');
        expect(await redis.client().exists(keyOf(gone.token))).toBe(0);
      } finally {
        await empty(redis);
      }
    },
  );
});
