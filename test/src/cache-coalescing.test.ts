import { startPeople } from '@sallyport/test-servers/people';
import { startRedis } from '@sallyport/test-servers/redis';
import { expect, test } from 'vitest';
import { sealingKey, startCacheGateway, startCacheReplicas } from './testing/cache-gateway.ts';
import { sum } from './testing/sum.ts';

test('a token that many ask about costs the directory one login for each replica at most, and the next replica none', async () => {
  await using people = await startPeople();
  await using redis = await startRedis();
  const corp = people.authenticator({ entry: { cache: {} } });
  const setup = {
    authenticators: [corp],
    redis: { url: redis.url },
    keys: [sealingKey()],
    files: people.files,
  };
  const { token, dn } = people.alice;
  const isAlice = {
    authenticated: true,
    user: { username: 'corp:alice', groups: ['corp:k8s-admins'] },
  };
  const logins = async () => (await people.slapd.operations()).bindsByDn.get(dn) ?? 0;
  await using all = await startCacheReplicas(2, setup);
  const asked = Array.from({ length: 300 }, (_, index) => all.replicas[index % 2]?.ask(token));
  expect(await Promise.all(asked)).toEqual(asked.map(() => isAlice));
  const cost = await logins();
  expect([1, 2]).toContain(cost);
  const waited = sum(
    await Promise.all(all.replicas.map((one) => one.metric('sallyport_coalesced_lookups_total'))),
  );
  const remembered = sum(
    await Promise.all(all.replicas.map(({ lookups }) => lookups('memory', 'hit'))),
  );
  expect(waited + remembered).toBe(300 - 2);

  await using next = await startCacheGateway(setup);
  for (const _ of [1, 2]) expect(await next.ask(token)).toEqual(isAlice);
  // The first answer came from Redis, and the second did not.
  expect([
    await logins(),
    await next.lookups('redis', 'hit'),
    await next.lookups('memory', 'hit'),
  ]).toEqual([cost, 1, 1]);
});
