import type { TokenRequest } from '@sallyport/authenticator';
import { startCluster } from '@sallyport/test-servers/redis-cluster';
import { redisForFile } from '@sallyport/test-servers/redis-for-file';
import { startSentinels } from '@sallyport/test-servers/redis-sentinel';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { beforeEach, describe, expect, test } from 'vitest';
import { type LayoutName, layouts } from '../layouts.ts';
import { interruptedStore } from '../testing/interrupted-store.ts';
import { collect, never, outcomeOf, startAuthenticator, startIssuer } from '../testing/plugin.ts';
import { keyOf, store } from '../testing/records.ts';
import { digestToken, makeToken } from '../token.ts';
import { createToken } from './create-token.ts';

const redis = await redisForFile();
beforeEach(async () => {
  await redis.client().flushall();
});

const hour = 3_600_000;

/** A request of the gateway for a session. Its text names the digest, as a sealed one would. */
function requestOf(username: string): TokenRequest {
  return {
    user: { username },
    expiresAt: new Date(Date.now() + 8 * hour),
    issuedBy: 'login',
    session: { describe: (digest) => `text of ${digest}`, idle: 2 * hour },
  };
}

const indexes = () => redis.client().keys('sallyport:token:sessions:*');
const notedDigests = async () =>
  (await Promise.all((await indexes()).map((one) => redis.client().zrange(one, '0', '-1')))).flat();

/** Changes a session as if it had begun an hour ago. */
async function ageNote(digest: string): Promise<void> {
  for (const index of await indexes())
    await redis.client().zadd(index, 'XX', Date.now() - hour, digest);
}

/** Lists the sessions of a user between the two writes of a new one, as another login does, and then again. */
async function expectListed(written: Record<string, unknown>): Promise<void> {
  await using started = await startIssuer(written);
  const list = () =>
    collect(started.issuer.list({ username: 'corp:alice', sessions: true }, never));
  const seen: unknown[] = [];
  await using interrupted = await interruptedStore(written, async (trip) => {
    if (trip === 2) seen.push(await list());
  });
  const { issued } = await createToken(requestOf('corp:alice'), interrupted.store, {}, never);
  expect([seen, interrupted.trips]).toEqual([[[]], 2]);
  expect((await list()).map(({ digest }) => digest)).toEqual([issued.digest]);
}

test('stores a session as long as the contract allows, with long names of all else', async () => {
  await using started = await startIssuer({ url: redis.url });
  const request = {
    ...requestOf('x'.repeat(1_000)),
    audiences: ['a'.repeat(256)],
    reason: 'd'.repeat(64),
    session: { describe: () => 's'.repeat(63_000), idle: 2 * hour },
  };
  const { issued } = await started.issuer.create(request, never);
  expect(issued.session).toHaveLength(63_000);
});

test('a session that is made while others list those of its user is in their next list, behind sentinels', async () => {
  await using sentinels = await startSentinels();
  await expectListed({ sentinels: sentinels.addresses, name: sentinels.name });
});

test('a session that is made while others list those of its user is in their next list, in a cluster', async () => {
  await using cluster = await startCluster({ replicasPerMaster: 0 });
  await expectListed({ cluster: cluster.nodes.map(({ port }) => `127.0.0.1:${port}`) });
});

describe.each(Object.keys(layouts) as LayoutName[])('sessions as %s', (layout) => {
  const written = () => ({ url: redis.url, layout });

  test('a decision has the text that was made for its token, and ends with its idle time', async () => {
    await using started = await startIssuer(written());
    await using gateway = await startAuthenticator(written());
    const { token, issued } = await started.issuer.create(requestOf('corp:alice'), never);
    const decision = await gateway.ask(token);
    expect(decision).toMatchObject({
      kind: 'authenticated',
      session: `text of ${digestToken(token)}`,
    });
    const end = decision.kind === 'authenticated' ? Number(decision.expiresAt) : 0;
    expect(Math.abs(end - Date.now() - 2 * hour)).toBeLessThan(60_000);
    expect(issued.session).toBe(`text of ${issued.digest}`);
  });

  test('a use extends it, and no use does not', async () => {
    await using started = await startIssuer(written());
    await using gateway = await startAuthenticator(written());
    const { token } = await started.issuer.create(requestOf('corp:alice'), never);
    await redis.client().pexpire(keyOf(token), hour);
    await gateway.ask(token);
    await waitFor(
      async () => (await redis.client().pttl(keyOf(token))) > hour,
      'the session to be extended',
    );
    await redis.client().pexpire(keyOf(token), 1);
    await waitFor(
      async () => (await redis.client().exists(keyOf(token))) === 0,
      'the session to end',
    );
    expect(await outcomeOf(gateway.ask(token))).toBe('no-opinion');
  });

  test('one whose key has no end has expired', async () => {
    await using started = await startIssuer(written());
    await using gateway = await startAuthenticator(written());
    const { token } = await started.issuer.create(requestOf('corp:alice'), never);
    await redis.client().persist(keyOf(token));
    expect(await outcomeOf(gateway.ask(token))).toBe('rejected: expired');
  });

  test('those of a user are listed by their index, with their last use and their revocation', async () => {
    await using started = await startIssuer(written());
    const { issuer } = started;
    const first = await issuer.create(requestOf('corp:alice'), never);
    const second = await issuer.create(requestOf('corp:alice'), never);
    const gone = await issuer.create(requestOf('corp:alice'), never);
    const bobs = await issuer.create(requestOf('corp:bob'), never);
    await issuer.create({ user: { username: 'corp:alice' }, issuedBy: 'admin' }, never);
    await redis.client().del(keyOf(gone.token));
    await ageNote(gone.issued.digest);
    await collect(issuer.revoke({ token: first.token }, { at: new Date(), by: 'logout' }, never));
    const listed = await collect(issuer.list({ username: 'corp:alice', sessions: true }, never));
    // Sessions of one millisecond are in any order.
    const { [first.issued.digest]: ofFirst, ...others } = Object.fromEntries(
      listed.map((one) => [one.digest, one]),
    );
    expect(ofFirst).toMatchObject({ revoked: { by: 'logout' } });
    expect(Object.keys(others)).toEqual([second.issued.digest]);
    expect(others[second.issued.digest]).toMatchObject({
      session: `text of ${second.issued.digest}`,
      lastUsedAt: expect.any(Date),
    });
    // An ended session is read once more, and not at each login.
    expect((await notedDigests()).sort()).toEqual(
      [second.issued.digest, bobs.issued.digest].sort(),
    );
  });

  test('one that is deleted is unknown, and leaves nothing behind', async () => {
    await using started = await startIssuer(written());
    await using gateway = await startAuthenticator(written());
    const [gone, kept] = [
      await started.issuer.create(requestOf('corp:alice'), never),
      await started.issuer.create(requestOf('corp:alice'), never),
    ];
    for (const _ of [1, 2]) await started.issuer.delete?.(gone.issued, never);
    expect(await outcomeOf(gateway.ask(gone.token))).toBe('no-opinion');
    expect(await outcomeOf(gateway.ask(kept.token))).toBe('authenticated');
    expect(await redis.client().exists(keyOf(gone.token))).toBe(0);
    expect(await notedDigests()).toEqual([kept.issued.digest]);
  });

  test('one that is made while others list those of its user is in their next list', async () => {
    await expectListed(written());
  });

  test('a record with one of session and idle is bad', async () => {
    await using gateway = await startAuthenticator(written());
    const token = makeToken('sp_');
    await store(redis.client(), layout, token, { username: 'corp:alice', session: 'text' });
    expect(await outcomeOf(gateway.ask(token))).toBe('failed');
  });
});
