import { secret } from '@sallyport/test-servers/tokens';
import { expect, test } from 'vitest';
import { http1Client, review } from './testing/clients.ts';
import type { Gateway } from './testing/gateway.ts';
import { startLogin } from './testing/login-gateway.ts';
import { cachedAnswers } from './testing/redis-contents.ts';
import { scrape } from './testing/scrape.ts';

/** The maximum number of logins until one is answered 429. This many would take longer than any test. */
const maxLogins = 1_000;

test('a user in 300 groups who logs in again and again is stopped, evicts no answer of others, and leaves few keys in Redis', async () => {
  await using place = await startLogin({
    login: { maxSessions: 3, limits: { perAddress: '1000/s' } },
    entry: { cache: { authenticatedTtl: '1h' } },
    // This is enough for some 800 KiB: twenty answers about the user, or one about each of 200 others.
    cache: { memory: { maxEntries: 200 } },
  });
  const { people, redis, ask, replicas } = place;
  const [gateway] = replicas.gateways as [Gateway];
  using client = http1Client(gateway.url);
  const groups = Array.from({ length: 300 }, (_, at) => `k8s-${String(at).padStart(60, '0')}`);
  const { name: username, password } = await people.add('flood', ...groups);
  const victims = await Promise.all(
    Array.from({ length: 20 }, (_, at) => people.add(`victim-${at}`, `k8s-team-${at}`)),
  );
  const askAll = async () => {
    for (const { token } of victims)
      expect(await review(client, token)).toMatchObject({ authenticated: true });
  };
  // How many lookups hit the cache depends on the machine: a gateway that reads the revocation list late asks the directory.
  const answersInMemory = async () =>
    (await scrape(gateway)).value('sallyport_cache_entries{tier="memory"}');
  await askAll();
  expect(await answersInMemory()).toBe(20);
  let accepted = 0;
  const logIn = () => ask({ body: { username, password, cluster: 'prod' } });
  let last = await logIn();
  for (let tries = 0; last.status !== 429 && tries < maxLogins; tries += 1) {
    // A fast machine also reaches the limit on lookups of one name in a second, which is another one.
    if (last.status === 201) {
      const token = secret(String(last.json?.token));
      const who = await ask({ method: 'GET', path: '/v1/session', token });
      expect(who.json).toMatchObject({ user: { groups: { length: 300 } } });
      accepted += 1;
    } else expect(last).toMatchObject({ status: 503, json: { code: 'unavailable' } });
    last = await logIn();
  }
  for (const { msg, reason } of gateway.output.lines)
    if (msg === 'authenticator could not check a login')
      expect(reason).toBe('more than 20 lookups of one name in a second');
  expect(last).toMatchObject({ status: 429, json: { code: 'too-many-requests' } });
  expect(Number(last.headers['retry-after'])).toBeGreaterThan(0);
  expect(accepted).toBeGreaterThanOrEqual(30);
  // Others can still log in.
  const { name, password: theirs } = people.alice;
  expect(await ask({ body: { username: name, password: theirs, cluster: 'prod' } })).toMatchObject({
    status: 201,
  });
  // The answers about the others are there, and eight about this user from each authenticator.
  expect(await answersInMemory()).toBe(20 + 2 * 8);
  // Three sessions of this user and one of alice, and the index of each.
  expect(await redis.client().keys('sessions:*')).toHaveLength(3 + 1 + 2);
  expect((await cachedAnswers(redis)).length).toBeLessThanOrEqual(20 + 8);
});
