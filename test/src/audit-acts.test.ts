import { randomBytes } from 'node:crypto';
import { startRedis } from '@sallyport/test-servers/redis';
import { expect, test } from 'vitest';
import { type AuditLine, findGaps, readTrail, readTrailSoFar } from './testing/audit-trail.ts';
import { type Gateway, startGateway } from './testing/gateway.ts';
import { operatorIn } from './testing/redis-commands.ts';
import { cachedRobots, replicasConfig } from './testing/replicas.ts';
import { secret, sha256 } from './testing/tokens.ts';
import { waitFor } from './testing/wait-for.ts';

const actsOf = (lines: readonly AuditLine[]): AuditLine[] => lines.filter(({ event }) => event !== undefined);

/** Until the trail has that many acts. */
const untilActs = (gateway: Gateway, count: number): Promise<AuditLine[]> =>
  waitFor(async () => {
    const acts = actsOf(await readTrailSoFar(gateway.folder));
    return acts.length >= count ? acts : undefined;
  }, `${count} acts`);

test('each replica writes once who blocked, unblocked and revoked, when and why', { timeout: 120_000 }, async () => {
  await using redis = await startRedis();
  const config = { ...replicasConfig([cachedRobots(redis.url)], redis.url), audit: { output: 'audit.log' } };
  const env = { SALLYPORT_CACHE_KEY: secret(randomBytes(32).toString('base64')) };
  await using one = await startGateway({ config, env });
  await using other = await startGateway({ config, env });
  const operator = operatorIn(one.folder, env);
  const token = await operator.create('--user', 'ci', '--by', 'ada', '--reason', 'nightly');
  const began = Date.now();
  for (const words of [
    ['block', '--user', 'robot:ci', '--for', '1h', '--by', 'eve', '--reason', 'laptop "stolen"'],
    ['unblock', '--user', 'robot:ci', '--by', 'zoë'],
    ['block', '--group', 'team:dev', '--for', '1h', '--by', 'eve'],
    ['block', '--jti', '7', '--for', '1h', '--by', 'eve'],
    ['revoke', '--token', '--by', 'eve', '--reason', 'leaked'],
    ['revoke', '--all', '--by', 'eve'],
  ]) {
    expect(await operator.run(words, token)).toMatchObject({ code: 0 });
  }
  const expected = [
    { event: 'block', kind: 'user', name: 'robot:ci', by: 'eve', reason: 'laptop "stolen"', until: /Z$/ },
    { event: 'unblock', kind: 'user', name: 'robot:ci', by: 'zoë' },
    { event: 'block', kind: 'group', name: 'team:dev', by: 'eve', until: /Z$/ },
    { event: 'block', kind: 'jti', name: '7', by: 'eve', until: /Z$/ },
    { event: 'revoke', kind: 'token', name: sha256(token).slice(0, 12), by: 'eve', reason: 'leaked' },
    { event: 'revoke', kind: 'all', by: 'eve' },
  ].map(({ until, ...act }) => {
    const time = expect.stringMatching(/^\d{4}-.*Z$/);
    const more = until === undefined ? {} : { until: time };
    return { ...act, ...more, time, at: time, boot: expect.any(String), sequence: expect.any(Number) };
  });
  for (const gateway of [one, other]) {
    const acts = await untilActs(gateway, expected.length);
    expect(acts).toEqual(expected);
    expect(Date.parse(String(acts[0]?.at))).toBeGreaterThanOrEqual(began - 1_000);
  }

  // Redis forgets the list, the replicas write it back and read it again: no act has a second line.
  const before = ((await operator.json('blocks')) as { blocks: unknown[] }).blocks;
  await redis.client().flushall();
  await waitFor(async () => (await redis.client().exists('sallyport:{revocations}:list')) === 1, 'the list');
  await operator.run(['block', '--user', 'robot:cd', '--for', '1h', '--by', 'eve']);
  expect(((await operator.json('blocks')) as { blocks: unknown[] }).blocks).toEqual([expect.anything(), ...before]);
  expect((await untilActs(one, 7)).map(({ event, name }) => [event, name]).slice(6)).toEqual([['block', 'robot:cd']]);

  // One that starts later learns of what is still remembered, and marks that it was done before.
  await using late = await startGateway({ config, env });
  const learned = await untilActs(late, 6);
  const known = [...expected.slice(1), { event: 'block', kind: 'user', name: 'robot:cd', by: 'eve' }];
  expect(learned).toMatchObject(known.map(({ event, by }) => ({ event, by, beforeStart: true })));

  for (const gateway of [one, other, late]) {
    await gateway.stop();
    expect(actsOf(await readTrail(gateway.folder))).toHaveLength(gateway === late ? 6 : 7);
    expect(await findGaps(gateway.folder, ['audit.log'])).toBe('');
  }
});

test('a block of a time when no gateway ran is in the trail of the one that starts', async () => {
  await using redis = await startRedis();
  const config = { ...replicasConfig([cachedRobots(redis.url)], redis.url), audit: { output: 'audit.log' } };
  const env = { SALLYPORT_CACHE_KEY: secret(randomBytes(32).toString('base64')) };
  const first = await startGateway({ config, env });
  await first.stop();
  await operatorIn(first.folder, env).run(['block', '--user', 'robot:ci', '--for', '1h', '--by', 'eve']);
  await using gateway = await startGateway({ config, env });
  expect(await untilActs(gateway, 1)).toMatchObject([
    { event: 'block', name: 'robot:ci', by: 'eve', beforeStart: true },
  ]);
});

test('an unlock has such a line, too', async () => {
  await using redis = await startRedis();
  const config = { ...replicasConfig([cachedRobots(redis.url)], redis.url), audit: { output: 'audit.log' } };
  const env = { SALLYPORT_CACHE_KEY: secret(randomBytes(32).toString('base64')) };
  await using gateway = await startGateway({ config, env });
  const words = ['unlock', '--user', 'robot:ci', '--by', 'eve', '--reason', 'new password'];
  expect(await operatorIn(gateway.folder, env).run(words)).toMatchObject({ code: 3 });
  const act = { event: 'unlock', kind: 'user', name: 'robot:ci', by: 'eve', reason: 'new password' };
  expect(await untilActs(gateway, 1)).toMatchObject([act]);
  await gateway.stop();
});
