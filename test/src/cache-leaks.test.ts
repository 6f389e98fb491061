import { findLeaks } from '@sallyport/test-servers/leaks';
import { ldapToken, startPeople } from '@sallyport/test-servers/people';
import { startRedis } from '@sallyport/test-servers/redis';
import { awkwardToken, randomToken, secret, secretsInUse } from '@sallyport/test-servers/tokens';
import { expect, test } from 'vitest';
import { sealingKey, shared, startCacheGateway } from './testing/cache-gateway.ts';
import { down } from './testing/chain.ts';
import { contentsOf, untilCached } from './testing/redis-contents.ts';
import { metricsText } from './testing/scrape.ts';
import { authenticated, startScriptedBackend } from './testing/scripted-backend.ts';

test('no token, password, key or user name is in Redis or in a metric', async () => {
  await using people = await startPeople();
  const [password, backend] = [randomToken(), await startScriptedBackend()];
  await using redis = await startRedis({
    users: [`user gateway on >${password} ~sallyport:* +@all`],
    password: true,
  });
  secret(redis.password ?? '');
  const scripted = shared(backend, 'robots', {}, { circuit: { minimumCalls: 1_000_000 } });
  await using replica = await startCacheGateway({
    authenticators: [people.authenticator({ entry: { cache: {} } }), scripted],
    redis: { url: redis.url, username: 'gateway', password: { file: 'secrets/cache-redis' } },
    keys: [sealingKey(), sealingKey()],
    files: { ...people.files, 'secrets/cache-redis': password },
  });
  const { gateway, ask } = replica;
  const robots = [randomToken(), awkwardToken(), randomToken(300)];
  for (const token of robots) backend.answer(token, authenticated('robot-of-ada-lovelace'));
  for (const token of [people.alice.token, ...robots])
    expect(await ask(token)).toMatchObject({ authenticated: true });
  const audiences = ['https://kubernetes.default.svc'];
  for (const token of robots)
    expect(await ask(token, audiences)).toMatchObject({ authenticated: true });
  for (const name of ['alice', 'alice', 'bob', 'nobody']) await ask(ldapToken(name, randomToken()));
  const lost = awkwardToken();
  backend.answer(lost, down);
  await ask(lost);
  await untilCached(redis, 7);

  // The log reports a Redis that it can't log in to, and one that is gone, but no credentials.
  await redis.client().call('ACL', 'SETUSER', 'gateway', 'off');
  await redis.client().call('CLIENT', 'KILL', 'TYPE', 'normal');
  await gateway.waitForLog('circuit of the cache Redis opened: it is down or slow');
  for (const token of [randomToken(), people.bob.token]) await ask(token);
  await redis.client().call('ACL', 'SETUSER', 'gateway', 'on');
  await gateway.waitForLog('circuit of the cache Redis closed: it has recovered');

  const contents = await contentsOf(redis);
  expect(contents.match(/^sallyport:cache:/gm)).toHaveLength(7);
  // Names are found in any encoding, so that no one can read an answer there.
  const names = ['robot-of-ada-lovelace', 'kubernetes.default.svc', 'k8s-admins'];
  expect(findLeaks(contents, [...secretsInUse(), ...names])).toEqual([]);
  expect(contents).not.toMatch(/alice/);
  const metrics = await metricsText(gateway);
  expect(metrics).toContain('sallyport_cache_lookups_total{');
  expect(findLeaks(metrics, [...secretsInUse(), ...names])).toEqual([]);
  expect(metrics).not.toMatch(/alice/);
});
