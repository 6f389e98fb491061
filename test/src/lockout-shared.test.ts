import { startRedis } from '@sallyport/test-servers/redis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sealingKey, startReplicas, withRedisTimeout } from './testing/cache-gateway.ts';
import { addCrowd } from './testing/ldap-crowd.ts';
import { ldapToken, startPeople } from './testing/ldap-gateway.ts';
import { startLockoutWriter } from './testing/lockout-writer.ts';
import { randomToken } from './testing/tokens.ts';

const refused = { authenticated: false };
const maxFailures = 3;

/** Replicas in front of one directory, that keep no answer, so that what spares it is the guard alone. */
async function start() {
  await using resources = new AsyncDisposableStack();
  const people = resources.use(await startPeople());
  const redis = resources.use(await startRedis());
  // A busy machine is no outage: what could not be checked would give its place back.
  const entry = { cache: 'off', timeout: '9s' };
  const authenticators = [people.authenticator({ options: { serverTimeout: '4s' }, entry })];
  const setup = { authenticators, redis: { url: redis.url }, keys: [sealingKey()], files: people.files };
  const { replicas } = resources.use(await startReplicas(3, setup));
  const owned = resources.move();
  return {
    ...{ redis, replicas },
    /** Two users who are in no other test. */
    async newUsers(prefix: string) {
      const [alice, bob] = await addCrowd(people, prefix, 2);
      if (alice === undefined || bob === undefined) throw new Error('there must be two');
      return { alice, bob };
    },
    async binds({ name }: { readonly name: string }) {
      const { suffix, operations } = people.slapd;
      return (await operations()).bindsByDn.get(`uid=${name},ou=people,${suffix}`) ?? 0;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const wrongPasswords = (name: string, count: number) =>
  Array.from({ length: count }, () => ldapToken(name, randomToken()));

let place: Awaited<ReturnType<typeof start>>;
beforeAll(async () => {
  place = await start();
});
afterAll(() => place[Symbol.asyncDispose]());

test('replicas send no more wrong passwords of one user than one gateway would, asked all at once', async () => {
  const { replicas, binds } = place;
  const { alice, bob } = await place.newUsers('wrong');
  const [same] = wrongPasswords(alice.name, 1);
  for (const [user, tokens] of [
    [alice, new Array(10).fill(same)],
    [bob, wrongPasswords(bob.name, 10)],
  ] as const) {
    const asked = replicas.flatMap(({ ask }) => tokens.map((token) => ask(token)));
    // Some may have waited for the others for too long: those could not be checked.
    expect((await Promise.all(asked)).filter(({ authenticated }) => authenticated !== false)).toEqual([]);
    expect(await binds(user)).toBeGreaterThanOrEqual(1);
    expect(await binds(user)).toBeLessThanOrEqual(maxFailures);
  }
  // Not one more, wherever it comes.
  for (const { ask } of replicas) {
    for (const token of wrongPasswords(bob.name, 2)) expect(await ask(token)).toEqual(refused);
  }
  expect(await binds(bob)).toBe(maxFailures);
});

test('all replicas let in a user whom one of them knows, though unknown secrets have used up the tries', async () => {
  const { replicas, binds } = place;
  const { alice } = await place.newUsers('known');
  const [first, second, third] = replicas;
  expect(await first?.ask(alice.token)).toHaveProperty('user.username', `corp:${alice.name}`);
  for (const token of wrongPasswords(alice.name, 5)) expect(await second?.ask(token)).toEqual(refused);
  expect(await binds(alice)).toBe(1 + maxFailures);
  for (const replica of [third, second, first, third]) {
    expect(await replica?.ask(alice.token)).toHaveProperty('user.username', `corp:${alice.name}`);
  }
  expect(await third?.ask(ldapToken(alice.name, randomToken()))).toEqual(refused);
  // Four that were right, beside those before.
  expect(await binds(alice)).toBe(1 + maxFailures + 4);
});

test('replicas keep to their own counts while Redis is down, and to these and the common one afterwards', async () => {
  await using _ = await withRedisTimeout('1s', place.replicas, place.redis);
  const { redis, replicas, binds } = place;
  const { alice } = await place.newUsers('down');
  const from = replicas.map(({ gateway }) => gateway.output.lines.length);
  await redis.stop();
  for (const [index, { ask }] of replicas.entries()) {
    for (const token of wrongPasswords(alice.name, 5)) expect(await ask(token)).toEqual(refused);
    expect([index, await binds(alice)]).toEqual([index, (index + 1) * maxFailures]);
  }
  const said = (words: string) =>
    Promise.all(
      replicas.map(({ gateway: { output } }, index) =>
        output.waitForLine(({ msg }) => msg.startsWith(words), words, from[index]),
      ),
    );
  await said('cut off from the revocation list');
  await redis.start();
  await said('the revocation list is read again');
  for (const { ask } of replicas) expect(await ask(ldapToken(alice.name, randomToken()))).toEqual(refused);
  expect(await binds(alice)).toBe(replicas.length * maxFailures);
});

test('while Redis hangs, known passwords get in at once, others once it is found to be down, and no circuit opens', async () => {
  await using _ = await withRedisTimeout('100ms', place.replicas, place.redis);
  const { redis, replicas } = place;
  const { alice, bob } = await place.newUsers('hung');
  const [one, other] = replicas;
  for (const _ of [1, 2, 3]) expect(await one?.ask(alice.token)).toHaveProperty('authenticated', true);
  await redis.hang();
  const began = performance.now();
  expect(await one?.ask(alice.token)).toHaveProperty('authenticated', true);
  const failed: object[] = [];
  let status = await other?.ask(bob.token);
  while (status?.authenticated !== true) {
    failed.push(status ?? {});
    status = await other?.ask(bob.token);
  }
  console.log(
    `Redis was found to be down after ${Math.round(performance.now() - began)} ms, ${failed.length} logins failed`,
  );
  expect(failed).toEqual(failed.map(() => ({ authenticated: false, error: expect.stringContaining('corp') })));
  for (const each of replicas) expect(await each.metric('sallyport_authenticator_circuit_state')).toBe(0);
  expect(await one?.ask(bob.token)).toHaveProperty('authenticated', true);
});

test('160 guesses at once over two replicas cost no more binds than one replica may have', async () => {
  // So little that a burst makes Redis late, though it is healthy.
  await using _ = await withRedisTimeout('10ms', place.replicas, place.redis);
  const { replicas, binds } = place;
  const { alice } = await place.newUsers('guessed');
  const asked = await Promise.all(
    replicas.slice(0, 2).flatMap(({ ask }) => wrongPasswords(alice.name, 80).map((token) => ask(token))),
  );
  expect(asked.filter(({ authenticated }) => authenticated !== false)).toEqual([]);
  // On a busy machine some fail for Redis' sake, and are not sent.
  expect(await binds(alice)).toBeGreaterThanOrEqual(1);
  expect(await binds(alice)).toBeLessThanOrEqual(maxFailures);
});

test('whoever writes the cache Redis and hears all that is said there has no right password refused', async () => {
  const { redis, replicas } = place;
  const { alice, bob } = await place.newUsers('refused');
  await using writer = await startLockoutWriter(redis, 'refused');
  for (let login = 0; login < 40; login++) {
    const { name, token } = login % 4 < 2 ? alice : bob;
    const status = await replicas[login % 2]?.ask(token);
    expect([login, status]).toEqual([login, expect.objectContaining({ authenticated: true })]);
    expect(status).toHaveProperty('user.username', `corp:${name}`);
  }
  expect(writer.written).toBeGreaterThan(40);
});

test('whoever does that gets no more guesses to the directory than each replica alone allows', async () => {
  const { redis, replicas, binds } = place;
  const { alice } = await place.newUsers('right');
  await using writer = await startLockoutWriter(redis, 'right');
  for (const { ask } of replicas.slice(0, 2)) {
    for (const token of wrongPasswords(alice.name, 10)) {
      // The writer has heard of it the first time.
      for (let time = 0; time < 2; time++) expect(await ask(token)).toEqual(refused);
    }
  }
  expect(writer.written).toBeGreaterThan(40);
  expect(await binds(alice)).toBeGreaterThanOrEqual(maxFailures);
  expect(await binds(alice)).toBeLessThanOrEqual(2 * maxFailures);
});
