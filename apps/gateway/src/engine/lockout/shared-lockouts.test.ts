import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import { socketOf } from '../shared-redis/testing/opened-shared-redis.ts';
import { createAttempts } from './attempts.ts';
import { abandonedAfter } from './local-guard.ts';
import { clearLockout, makeSubjectKey, readLockouts } from './shared-lockouts.ts';
import { createRecords } from './shared-records.ts';
import { type OpenedGuardRedis, openGuardRedis } from './testing/opened-redis.ts';

const settings = { maxFailures: 2, window: 600_000 };

let server: RedisServer;
let opened: OpenedGuardRedis;
beforeAll(async () => {
  server = await startRedis();
  opened = await openGuardRedis(socketOf(server));
});
beforeEach(async () => {
  await server.client().flushall();
});
afterAll(async () => {
  await opened?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

/** What commands use. */
function probed(): ProbedRedis {
  const probe: ProbedRedis['probe'] = (_use, work) => work(server.client());
  return Object.create(opened.shared, { probe: { value: probe } });
}

async function send(
  username: string,
  secret: string,
  outcome: 'refused' | 'accepted' = 'refused',
): Promise<string> {
  const guard = createAttempts(() => settings, {
    now: () => performance.now(),
    shared: () => opened.shared,
  })('corp');
  const attempt = await guard.admit(`uid=${username}`, secret, undefined, username);
  if (attempt.admitted) await attempt.settle(outcome);
  await opened.quiet();
  return attempt.admitted ? 'sent' : attempt.reason;
}

const list = async () =>
  (await readLockouts(probed(), settings)).map((one) => [
    one.username,
    one.refused,
    one.isLockedOut,
  ]);

test('lists whose attempts were refused, of all replicas, and says who is locked out', async () => {
  expect(await list()).toEqual([]);
  await send('right', 'a', 'accepted');
  for (const secret of ['a', 'b']) await send('jane', secret);
  await send('john', 'a');
  expect(await list()).toEqual([
    ['jane', 2, true],
    ['john', 1, false],
  ]);
  const [jane] = await readLockouts(probed(), settings);
  expect(jane).toMatchObject({ authenticator: 'corp', subject: 'uid=jane' });
  expect((jane?.until ?? 0) - Date.now()).toBeGreaterThan(settings.window - 60_000);
  expect(await list()).toHaveLength(2);
});

test('what is cleared has all its attempts again, and what was right stays known', async () => {
  await send('jane', 'right', 'accepted');
  for (const secret of ['a', 'b']) await send('jane', secret);
  expect(await send('jane', 'c')).toBe('throttled');
  for (const one of await readLockouts(probed(), settings)) await clearLockout(probed(), one);
  expect(await list()).toEqual([]);
  expect([await send('jane', 'a'), await send('jane', 'd')]).toEqual(['sent', 'sent']);
  expect(await send('jane', 'right', 'accepted')).toBe('sent');
});

test('names and attempts that no gateway wrote are not listed, and no name is there in clear', async () => {
  await send('jane', 'a');
  const client = server.client();
  const [names = ''] = await client.keys('*{names}*');
  const [[field, value] = ['', '']] = Object.entries(await client.hgetall(names));
  expect(JSON.stringify(await client.hgetall(names))).not.toContain('jane');
  await client.hset(names, { moved: value, junk: 'junk', [`${field}x`]: value });
  const hash = (await client.keys('*lockout:*')).find((key) => key !== names) ?? '';
  await client.hset(hash, 'try:forged', 'refused 1 a b');
  expect(await list()).toEqual([['jane', 1, false]]);
});

test('attempts that were never settled are listed once they keep a user out, and can be cleared', async () => {
  // As a Redis leaves them that has lost the last second of its append-only file.
  const key = makeSubjectKey(opened.shared, { authenticator: 'corp', subject: 'uid=jane' });
  const begun = Date.now() - abandonedAfter - 60_000;
  for (const secret of ['a', 'b']) {
    const record = createRecords(opened.shared, key).write(
      `try:${secret}`,
      'pending',
      begun,
      secret.repeat(43),
    );
    await server.client().hset(key, ...record);
  }
  expect(await send('jane', 'c')).toBe('throttled');
  expect(await list()).toEqual([['jane', 2, true]]);
  for (const one of await readLockouts(probed(), settings)) await clearLockout(probed(), one);
  expect([await list(), await send('jane', 'c', 'accepted')]).toEqual([[], 'sent']);
});
