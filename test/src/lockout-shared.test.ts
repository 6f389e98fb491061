import { startRedis } from '@sallyport/test-servers/redis';
import { describe, expect, test } from 'vitest';
import { sealingKey, startReplicas } from './fixtures/cache-gateway.ts';
import { ldapToken, type People, startPeople } from './fixtures/ldap-gateway.ts';
import { randomToken } from './fixtures/tokens.ts';

const refused = { authenticated: false };
const maxFailures = 3;

/** Three replicas in front of one directory, that keep no answer, so that what spares it is the guard alone. */
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
      expect(await Promise.all(asked)).toEqual(asked.map(() => refused));
      expect(await bindsOf(people, dn)).toBeGreaterThanOrEqual(1);
      expect(await bindsOf(people, dn)).toBeLessThanOrEqual(maxFailures);
    }
    // Not one more, of whomever, wherever it comes.
    const before = await bindsOf(people, bob.dn);
    for (const { ask } of replicas) {
      for (const token of wrongPasswords('bob', 2)) expect(await ask(token)).toEqual(refused);
    }
    expect(before).toBe(maxFailures);
    expect(await bindsOf(people, bob.dn)).toBe(before);
  });

  test('all let in whom one of them knows, though strangers have used up the tries', async () => {
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
    await redis.start();
    await Promise.all(replicas.map(({ gateway }) => gateway.waitForLog('the revocation list is read again')));
    for (const { ask } of replicas) expect(await ask(ldapToken('alice', randomToken()))).toEqual(refused);
    expect(await bindsOf(people, dn)).toBe(replicas.length * maxFailures);
  });
});
