import { startRedis } from '@sallyport/test-servers/redis';
import { describe, expect, test } from 'vitest';
import { sealingKey, startReplicas } from './testing/cache-gateway.ts';
import { ldapToken, type People, startPeople } from './testing/ldap-gateway.ts';
import { startLockoutWriter } from './testing/lockout-writer.ts';
import { randomToken } from './testing/tokens.ts';

const refused = { authenticated: false };
const maxFailures = 3;

/** Replicas in front of one directory, that keep no answer, so that what spares it is the guard alone. */
async function start(count: 2 | 3 = 3, sharing: object = {}) {
  await using resources = new AsyncDisposableStack();
  const people = resources.use(await startPeople());
  const redis = resources.use(await startRedis());
  // A busy machine is no outage: what could not be checked would give its place back.
  const entry = { cache: 'off', timeout: '9s' };
  const authenticators = [people.authenticator({ options: { serverTimeout: '4s' }, entry })];
  const setup = { authenticators, redis: { url: redis.url, ...sharing }, keys: [sealingKey()], files: people.files };
  const { replicas } = resources.use(await startReplicas(count, setup));
  const owned = resources.move();
  return { people, redis, replicas, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function bindsOf(people: People, dn: string): Promise<number> {
  return (await people.slapd.operations()).bindsByDn.get(dn) ?? 0;
}

const wrongPasswords = (name: string, count: number) =>
  Array.from({ length: count }, () => ldapToken(name, randomToken()));

describe.concurrent('replicas that share a Redis', () => {
  test('send no more wrong passwords of one user than one gateway would, asked all at once', async () => {
    await using place = await start();
    const { people, replicas } = place;
    const { alice, bob } = people;
    const [same] = wrongPasswords('alice', 1);
    for (const [dn, tokens] of [
      [alice.dn, new Array(10).fill(same)],
      [bob.dn, wrongPasswords('bob', 10)],
    ] as const) {
      const asked = replicas.flatMap(({ ask }) => tokens.map((token) => ask(token)));
      // Some may have waited for the others for too long: those could not be checked.
      expect((await Promise.all(asked)).filter(({ authenticated }) => authenticated !== false)).toEqual([]);
      expect(await bindsOf(people, dn)).toBeGreaterThanOrEqual(1);
      expect(await bindsOf(people, dn)).toBeLessThanOrEqual(maxFailures);
    }
    // Not one more, wherever it comes.
    for (const { ask } of replicas) {
      for (const token of wrongPasswords('bob', 2)) expect(await ask(token)).toEqual(refused);
    }
    expect(await bindsOf(people, bob.dn)).toBe(maxFailures);
  });

  test('all let in a user whom one of them knows, though unknown secrets have used up the tries', async () => {
    await using place = await start();
    const { people, replicas } = place;
    const [first, second, third] = replicas;
    expect(await first?.ask(people.alice.token)).toHaveProperty('user.username', 'corp:alice');
    for (const token of wrongPasswords('alice', 5)) expect(await second?.ask(token)).toEqual(refused);
    expect(await bindsOf(people, people.alice.dn)).toBe(1 + maxFailures);
    for (const replica of [third, second, first, third]) {
      expect(await replica?.ask(people.alice.token)).toHaveProperty('user.username', 'corp:alice');
    }
    expect(await third?.ask(ldapToken('alice', randomToken()))).toEqual(refused);
    // Four that were right, beside those before.
    expect(await bindsOf(people, people.alice.dn)).toBe(1 + maxFailures + 4);
  });

  test('keep to their own counts while it is down, and to these and the common one afterwards', async () => {
    await using place = await start();
    const { people, redis, replicas } = place;
    const { dn } = people.alice;
    await redis.stop();
    for (const [index, { ask }] of replicas.entries()) {
      for (const token of wrongPasswords('alice', 5)) expect(await ask(token)).toEqual(refused);
      expect([index, await bindsOf(people, dn)]).toEqual([index, (index + 1) * maxFailures]);
    }
    const said = (words: string) =>
      Promise.all(replicas.map(({ gateway }) => gateway.output.waitForLine(({ msg }) => msg.startsWith(words), words)));
    await said('cut off from the revocation list');
    await redis.start();
    await said('the revocation list is read again');
    for (const { ask } of replicas) expect(await ask(ldapToken('alice', randomToken()))).toEqual(refused);
    expect(await bindsOf(people, dn)).toBe(replicas.length * maxFailures);
  });
});

test('while Redis hangs, known passwords get in at once, others once it is found to be down, and no circuit opens', async () => {
  await using place = await start(2, { timeout: '100ms' });
  const { people, redis, replicas } = place;
  const [one, other] = replicas;
  for (const _ of [1, 2, 3]) expect(await one?.ask(people.alice.token)).toHaveProperty('authenticated', true);
  await redis.hang();
  const began = performance.now();
  expect(await one?.ask(people.alice.token)).toHaveProperty('authenticated', true);
  const failed: object[] = [];
  let status = await other?.ask(people.bob.token);
  while (status?.authenticated !== true) {
    failed.push(status ?? {});
    status = await other?.ask(people.bob.token);
  }
  console.log(
    `Redis was found to be down after ${Math.round(performance.now() - began)} ms, ${failed.length} logins failed`,
  );
  expect(failed).toEqual(failed.map(() => ({ authenticated: false, error: expect.stringContaining('corp') })));
  for (const each of replicas) expect(await each.metric('sallyport_authenticator_circuit_state')).toBe(0);
  expect(await one?.ask(people.bob.token)).toHaveProperty('authenticated', true);
});

test('160 guesses at once over two replicas cost no more binds than one replica may have', async () => {
  // So little that a burst makes Redis late, though it is healthy.
  await using place = await start(2, { timeout: '10ms' });
  const { people, replicas } = place;
  const asked = await Promise.all(
    replicas.flatMap(({ ask }) => wrongPasswords('alice', 80).map((token) => ask(token))),
  );
  expect(asked.filter(({ authenticated }) => authenticated !== false)).toEqual([]);
  const binds = await bindsOf(people, people.alice.dn);
  // On a busy machine some fail for Redis' sake, and are not sent.
  expect(binds).toBeGreaterThanOrEqual(1);
  expect(binds).toBeLessThanOrEqual(maxFailures);
});

describe('whoever writes the cache Redis and hears all that is said there', () => {
  test('has no right password refused', async () => {
    await using place = await start(2);
    const { people, redis, replicas } = place;
    await using writer = await startLockoutWriter(redis, 'refused');
    for (let login = 0; login < 40; login++) {
      const { name, token } = login % 4 < 2 ? people.alice : people.bob;
      const status = await replicas[login % 2]?.ask(token);
      expect([login, status]).toEqual([login, expect.objectContaining({ authenticated: true })]);
      expect(status).toHaveProperty('user.username', `corp:${name}`);
    }
    expect(writer.written).toBeGreaterThan(40);
  });

  test('gets no more guesses to the directory than each replica alone allows', async () => {
    await using place = await start(2);
    const { people, redis, replicas } = place;
    await using writer = await startLockoutWriter(redis, 'right');
    for (const { ask } of replicas) {
      for (const token of wrongPasswords('alice', 10)) {
        // The writer has heard of it the first time.
        for (let time = 0; time < 2; time++) expect(await ask(token)).toEqual(refused);
      }
    }
    expect(writer.written).toBeGreaterThan(40);
    const binds = await bindsOf(people, people.alice.dn);
    expect(binds).toBeGreaterThanOrEqual(maxFailures);
    expect(binds).toBeLessThanOrEqual(replicas.length * maxFailures);
  });
});
