import { randomBytes } from 'node:crypto';
import { startRedis } from '@sallyport/test-servers/redis';
import { issue } from '@sallyport/test-servers/redis-tokens';
import { secret, sha256 } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { expect, test } from 'vitest';
import { type AuditLine, findGaps, readTrail, readTrailSoFar } from './testing/audit-trail.ts';
import { type Gateway, startGateway } from './testing/gateway.ts';
import { operatorIn } from './testing/redis-commands.ts';
import { cachedRobots, replicasConfig } from './testing/replicas.ts';

const actsOf = (lines: readonly AuditLine[]): AuditLine[] =>
  lines.filter(({ event }) => event !== undefined);

/** Waits until the trail has this number of acts. */
const untilActs = (gateway: Gateway, count: number): Promise<AuditLine[]> =>
  waitFor(async () => {
    const acts = actsOf(await readTrailSoFar(gateway.folder));
    return acts.length >= count ? acts : undefined;
  }, `${count} acts`);

test('each replica writes once who blocked, unblocked, unlocked and revoked, when and why', async () => {
  await using redis = await startRedis();
  const config = {
    ...replicasConfig([cachedRobots(redis.url)], redis.url),
    audit: { output: 'audit.log' },
  };
  const env = { SALLYPORT_CACHE_KEY: secret(randomBytes(32).toString('base64')) };
  await using one = await startGateway({ config, env });
  await using other = await startGateway({ config, env });
  const operator = operatorIn(one.folder, env);
  const token = await issue(() => redis, { username: 'ci' });
  const began = Date.now();
  for (const words of [
    ['block', '--user', 'robot:ci', '--for', '1h', '--by', 'eve', '--reason', 'laptop "stolen"'],
    ['unblock', '--user', 'robot:ci', '--by', 'zoë'],
    ['revoke', '--token', '--by', 'eve', '--reason', 'leaked'],
    // No one was locked out.
    ['unlock', '--user', 'robot:ci', '--by', 'eve', '--reason', 'new password'],
  ]) {
    expect(await operator.run(words, token)).toMatchObject({ code: words[0] === 'unlock' ? 3 : 0 });
  }
  const time = expect.stringMatching(/^\d{4}-.*Z$/);
  const expected = [
    {
      event: 'block',
      kind: 'user',
      name: 'robot:ci',
      by: 'eve',
      reason: 'laptop "stolen"',
      until: /Z$/,
    },
    { event: 'unblock', kind: 'user', name: 'robot:ci', by: 'zoë' },
    {
      event: 'revoke',
      kind: 'token',
      name: sha256(token).slice(0, 12),
      by: 'eve',
      reason: 'leaked',
    },
    { event: 'unlock', kind: 'user', name: 'robot:ci', by: 'eve', reason: 'new password' },
  ].map(({ until, ...act }) => {
    const more = until === undefined ? {} : { until: time };
    return {
      ...act,
      ...more,
      time,
      at: time,
      boot: expect.any(String),
      sequence: expect.any(Number),
    };
  });
  for (const gateway of [one, other]) {
    const acts = await untilActs(gateway, expected.length);
    expect(acts).toEqual(expected);
    expect(Date.parse(String(acts[0]?.at))).toBeGreaterThanOrEqual(began - 1_000);
  }

  // Redis forgets the list, the replicas write it back and read it again: no act has a second line.
  await redis.client().flushall();
  await waitFor(
    async () => (await redis.client().exists('sallyport:{revocations}:list')) === 1,
    'the list',
  );
  await operator.run(['block', '--group', 'team:dev', '--for', '1h', '--by', 'eve']);
  const ofGroup = { event: 'block', kind: 'group', name: 'team:dev', by: 'eve', until: time };
  expect((await untilActs(one, 5)).slice(4)).toMatchObject([ofGroup]);

  const untilStopped = async (gateway: Gateway, acts: number) => {
    await gateway.stop();
    expect(actsOf(await readTrail(gateway.folder))).toHaveLength(acts);
    expect(await findGaps(gateway.folder, ['audit.log'])).toBe('');
  };
  await untilStopped(one, 5);
  await untilStopped(other, 5);

  // A replica that starts later learns of what is still remembered, even of acts while no gateway ran, and marks that.
  await operator.run(['block', '--jti', '7', '--for', '1h', '--by', 'eve']);
  await using late = await startGateway({ config, env });
  const learned = await untilActs(late, 5);
  const ofJti = { event: 'block', kind: 'jti', name: '7', by: 'eve', until: time };
  const known = [...expected.slice(1), ofGroup, ofJti].map((act) => ({
    ...act,
    beforeStart: true,
  }));
  expect(learned).toMatchObject(known);
  await untilStopped(late, 5);
});
