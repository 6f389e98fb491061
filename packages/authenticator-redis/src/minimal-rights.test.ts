import { errorOf } from '@sallyport/test-servers/error-of';
import { newPassword } from '@sallyport/test-servers/passwords';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type LayoutName, layouts } from './layouts.ts';
import { accessLists, rightsFor } from './testing/access-lists.ts';
import { collect, never, startAuthenticator, startIssuer } from './testing/plugin.ts';
import { keyOf, storeToken } from './testing/records.ts';
import { makeToken } from './token.ts';

const password = newPassword();
const names = Object.keys(layouts) as LayoutName[];
const user = { username: 'ci', groups: ['deployers'] };

describe.each(['redis-server', 'valkey-server'] as const)('on %s', (program) => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis({ program });
  });
  beforeEach(async () => {
    await redis.client().flushall();
    await redis.client().call('ACL', 'LOG', 'RESET');
  });
  afterAll(() => redis?.[Symbol.asyncDispose]());

  const grant = (list: string) =>
    redis
      .client()
      .call(
        'ACL',
        'SETUSER',
        'minimal',
        'reset',
        'on',
        `>${password}`,
        ...(list.match(/\(.*?\)|\S+/g) ?? []),
      );
  const denied = () => redis.client().call('ACL', 'LOG');

  describe.each(names)('with records as %s', (layout) => {
    const lists = accessLists[layout];
    const written = (changed: object = {}) => ({
      url: redis.url,
      username: 'minimal',
      password,
      layout,
      ...changed,
    });
    const put = (record: Record<string, unknown>) => storeToken(redis.client(), layout, record);

    test('the gateway needs only the rights of its list, and tries no other command', async () => {
      await grant(lists.gateway);
      await using started = await startAuthenticator(written());
      await started.check();
      expect(await started.ask(await put(user))).toEqual({ kind: 'authenticated', user });
      expect(await started.ask(makeToken('sp_'))).toEqual({ kind: 'no-opinion' });
      expect(await denied()).toEqual([]);
    });

    test('sessions need only the rights of their lists', async () => {
      await grant(lists.sessionIssuer);
      await using issuing = await startIssuer(written());
      const { issuer } = issuing;
      const session = { describe: () => 'text', idle: 60_000 };
      const expiresAt = new Date(Date.now() + 3_600_000);
      const request = { user, issuedBy: 'login', expiresAt, session };
      const [gone, kept] = [
        await issuer.create(request, never),
        await issuer.create(request, never),
      ];
      await redis.client().del(keyOf(gone.token));
      expect(await collect(issuer.list({ username: 'ci', sessions: true }, never))).toHaveLength(1);
      await redis.client().pexpire(keyOf(kept.token), 30_000);
      expect(await denied()).toEqual([]);
      await grant(lists.sessionGateway);
      await using started = await startAuthenticator(written());
      expect(await started.ask(kept.token)).toMatchObject({
        kind: 'authenticated',
        session: 'text',
      });
      await waitFor(
        async () => (await redis.client().pttl(keyOf(kept.token))) > 30_000,
        'the session to be extended',
      );
      expect(await denied()).toEqual([]);
      await grant(lists.sessionIssuer);
      await using again = await startIssuer(written());
      const revocation = { at: new Date(), by: 'logout' };
      expect(
        await collect(again.issuer.revoke({ digest: kept.issued.digest }, revocation, never)),
      ).toHaveLength(1);
      expect(await denied()).toEqual([]);
    });

    test('with trackLastUse the gateway may write its notes, and no token', async () => {
      await grant(lists.trackingGateway);
      await using started = await startAuthenticator(written({ trackLastUse: '10s' }));
      await started.check();
      const token = await put(user);
      expect(await started.ask(token)).toEqual({ kind: 'authenticated', user });
      await waitFor(
        async () => (await redis.client().exists(`${keyOf(token)}:last-use`)) === 1,
        'a note',
      );
      expect(await denied()).toEqual([]);
      const writes = [
        ['SET', keyOf(token), '{}'],
        ['HSET', keyOf(token), 'a', 'b'],
        ['DEL', keyOf(token)],
        ['EVAL', '', '0'],
      ];
      for (const command of [
        ...writes,
        ['DEL', `${keyOf(token)}:last-use`],
        ['GET', 'a'],
        ['CONFIG', 'GET', '*'],
      ]) {
        expect(String(await redis.client().call('ACL', 'DRYRUN', 'minimal', ...command))).toMatch(
          /permission/,
        );
      }
    });

    test.each([{}, { trackLastUse: '10s' }])(
      'the commands need no more than their list: %j',
      async (tracking) => {
        await grant(lists.issuer);
        await using started = await startIssuer(written(tracking));
        const { issuer } = started;
        const expiresAt = new Date(Date.now() + 3_600_000);
        for (const end of [{}, { expiresAt }])
          await issuer.create({ user, issuedBy: 'jane', ...end }, never);
        await put({ username: 'other' });
        expect(await collect(issuer.list({}, never))).toHaveLength(3);
        const revoked = await collect(issuer.revoke({ username: 'ci' }, { at: new Date() }, never));
        expect(revoked).toMatchObject([{ already: false }, { already: false }]);
        expect(
          await collect(issuer.revoke({ username: 'ci' }, { at: new Date() }, never)),
        ).toMatchObject([{ already: true }, { already: true }]);
        expect(await denied()).toEqual([]);
      },
    );

    const rights = lists.issuer.split(' ').filter((word) => word.startsWith('+'));
    test.each(rights.map((right) => right.slice(1)))(
      'without %s what needs it fails, and says so',
      async (missing) => {
        await grant(`${lists.issuer} -${missing}`);
        await using started = await startIssuer(written());
        await using tracking = await startIssuer(written({ trackLastUse: '10s' }));
        const { issuer } = started;
        const token = await put(user);
        const before = await redis.client().dumpBuffer(keyOf(token));
        const works = {
          create: () =>
            issuer.create(
              { user, issuedBy: 'jane', expiresAt: new Date(Date.now() + 3_600_000) },
              never,
            ),
          list: () => collect(issuer.list({}, never)),
          listLastUse: () => collect(tracking.issuer.list({}, never)),
          revoke: () => collect(issuer.revoke({ token }, { at: new Date() }, never)),
        };
        for (const [work, run] of Object.entries(works) as [
          keyof typeof works,
          () => Promise<unknown>,
        ][]) {
          if (!rightsFor[layout][work].includes(missing)) {
            await run();
            continue;
          }
          const count = await redis.client().dbsize();
          expect([work, (await errorOf(run())).message]).toEqual([
            work,
            `${redis.url}: the user is not allowed to do this (${missing.toUpperCase()}): compare its ACL with ` +
              'docs/redis.md (Permissions); options.admin may name another user for this command',
          ]);
          expect(await redis.client().dbsize()).toBe(count);
          if (work === 'revoke')
            expect(await redis.client().dumpBuffer(keyOf(token))).toEqual(before);
        }
      },
    );

    test('another database also needs SELECT', async () => {
      await grant(`${lists.gateway} +select`);
      await using started = await startAuthenticator(written({ database: 1 }));
      await started.check();
      expect(await denied()).toEqual([]);
    });
  });
});
