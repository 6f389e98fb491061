import {
  type AskedLogin,
  type LockoutEvent,
  playHistory,
} from '@sallyport/test-servers/lockout-model';
import { createLockoutWriter, writerActs } from '@sallyport/test-servers/lockout-writer';
import { ldapToken, startPeople } from '@sallyport/test-servers/people';
import { startRedis } from '@sallyport/test-servers/redis';
import { randomToken } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sealingKey, startCacheReplicas, withRedisTimeout } from './testing/cache-gateway.ts';
import { addCrowd, type Member, slowHash } from './testing/ldap-crowd.ts';
import { seededRandom } from './testing/seeded-random.ts';
import type { ReviewStatus } from './testing/token-review.ts';

const refused = { authenticated: false };
const maxFailures = 3;

/** Starts replicas in front of one directory. They cache no answer, so that only the guard saves binds. */
async function start() {
  await using resources = new AsyncDisposableStack();
  const people = resources.use(await startPeople());
  const redis = resources.use(await startRedis());
  const authenticators = [people.authenticator()];
  const setup = {
    authenticators,
    redis: { url: redis.url },
    keys: [sealingKey()],
    files: people.files,
  };
  const { replicas } = resources.use(await startCacheReplicas(3, setup));
  const owned = resources.move();
  return {
    ...{ redis, replicas },
    /** Two users who are in no other test. */
    async newUsers(prefix: string) {
      const [alice, bob] = await addCrowd(people, prefix, 2);
      if (alice === undefined || bob === undefined) throw new Error('there must be two');
      return { alice, bob };
    },
    /** Makes the directory slow for this user. @returns the token with the new password */
    async changePassword({ name }: Member) {
      const password = randomToken();
      const hash = await slowHash(password, 200_000);
      const dn = `uid=${name},ou=people,${people.slapd.suffix}`;
      await people.slapd.modify(
        `dn: ${dn}\nchangetype: modify\nreplace: userPassword\nuserPassword: ${hash}\n`,
      );
      return ldapToken(name, password);
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

/** Makes logins of one user, with the password and six wrong ones, each on any replica or on all at the same moment. */
function historyOf(
  { name }: Member,
  seed: number,
  count: number,
  disturbed: boolean,
): LockoutEvent[] {
  const random = seededRandom(seed);
  const pick = <Item>(items: readonly Item[]) => items[Math.floor(random() * items.length)] as Item;
  return Array.from({ length: count }, () => {
    if (disturbed && random() < 0.3) return { do: 'disturb', how: pick(writerActs) };
    const secret = pick(['right', 'right', 'right', 'a', 'b', 'c', 'd', 'e', 'f']);
    const on = !disturbed && random() < 0.2 ? [0, 1, 2] : [pick([0, 1, 2])];
    return { do: 'begin', logins: on.map((replica) => ({ replica, name, secret })) };
  });
}

type Asked = { -readonly [Key in keyof AskedLogin]: AskedLogin[Key] };

/** Drives logins of a user, by what the directory sees. Logins at the same moment have the same secret. */
function driverFor(user: Member) {
  const { redis, replicas, binds } = place;
  const tokens = new Map([['right', user.token]]);
  const writer = createLockoutWriter(redis);
  let asking: Promise<readonly [Asked, ReviewStatus | undefined]>[] = [];
  let bindsBefore = 0;
  async function ask(asked: Asked, replica: number, token: string) {
    const begin = performance.now();
    const status = await replicas[replica]?.ask(token);
    // Forged records of logins in progress keep a login waiting for a second.
    asked.hasWaited = performance.now() - begin >= 1_000;
    return [asked, status] as const;
  }
  return {
    begin({ replica, secret }: { readonly replica: number; readonly secret: string }): AskedLogin {
      const asked: Asked = { settle: async () => {} };
      const token = tokens.get(secret) ?? ldapToken(user.name, randomToken());
      tokens.set(secret, token);
      asking.push(ask(asked, replica, token));
      return asked;
    },
    disturb: writer.write,
    async settled() {
      const answers = await Promise.all(asking);
      asking = [];
      let sent = (await binds(user)) - bindsBefore;
      bindsBefore += sent;
      for (const [asked, status] of answers) {
        const isSent = sent > 0 && status?.error === undefined;
        if (isSent) {
          sent--;
          asked.outcome = status?.authenticated ? 'accepted' : 'refused';
        }
        asked.admission = isSent ? 'sent' : status?.error === undefined ? 'denied' : 'failed';
      }
      // A replica answers as soon as it has written the outcome to its connection: now Redis has it.
      await redis.client().ping();
      await writer.hear();
    },
  };
}

test.each([
  { name: 'as one gateway does', isShared: true },
  { name: 'each, whatever someone does to the records in the cache Redis', isShared: false },
])('replicas keep to the rules of the lockout guard, $name', async ({ isShared }) => {
  const prefix = isShared ? 'model' : 'disturbed';
  for (const seed of [1, 2, 3]) {
    const { alice } = await place.newUsers(prefix + seed);
    // A replica takes 20 lookups of one name in a second.
    const events = historyOf(alice, seed, 32, !isShared);
    await playHistory(driverFor(alice), events, { maxFailures, window: 600_000, isShared });
  }
});

test.each([
  { name: 'one wrong password', count: 3, asks: 30, isSame: true, timeout: '2s' },
  { name: 'wrong passwords', count: 3, asks: 30, isSame: false, timeout: '2s' },
  // Redis has so little time that a burst makes it late, though it is healthy.
  { name: 'wrong passwords', count: 2, asks: 160, isSame: false, timeout: '10ms' },
])(
  '$name asked for on $count replicas, $asks at the same time, cost no more binds than one replica may have',
  async ({ count, asks, isSame, timeout }) => {
    const from = place.replicas.map(({ gateway }) => gateway.output.lines.length);
    await using _ = await withRedisTimeout(timeout, place.replicas, place.redis);
    const { replicas, binds } = place;
    const { alice } = await place.newUsers(`guessed${count}${isSame}`);
    const tokens = wrongPasswords(alice.name, asks);
    const asked = tokens.map((token, index) =>
      replicas[index % count]?.ask((isSame && tokens[0]) || token),
    );
    // Some may have waited for the others, or for Redis, for too long. Those are errors, and are not sent.
    expect((await Promise.all(asked)).filter((status) => status?.authenticated !== false)).toEqual(
      [],
    );
    expect(await binds(alice)).toBeGreaterThanOrEqual(1);
    // A replica that got no CPU for longer than the timeout takes Redis for down, and counts for itself from then on.
    const alone = replicas.filter(({ gateway }, index) =>
      gateway.output.lines
        .slice(from[index])
        .some(({ msg }) => msg.startsWith('circuit of the cache Redis opened')),
    );
    expect(await binds(alice)).toBeLessThanOrEqual(maxFailures * (1 + alone.length));
    // One wrong password locks no one out.
    if (isSame)
      for (const { ask } of replicas)
        expect(await ask(alice.token)).toHaveProperty('authenticated', true);
  },
);

test('a changed password gets in though all replicas sent the old one, which was right on each, at the same moment', async () => {
  const { replicas } = place;
  const { alice } = await place.newUsers('changed');
  for (const { ask } of replicas)
    expect(await ask(alice.token)).toHaveProperty('authenticated', true);
  const changed = await place.changePassword(alice);
  const asked = replicas.flatMap(({ ask }) => [1, 2, 3].map(() => ask(alice.token)));
  expect((await Promise.all(asked)).filter(({ authenticated }) => authenticated)).toEqual([]);
  for (const { ask } of replicas) expect(await ask(changed)).toHaveProperty('authenticated', true);
});

test('a Redis that lost its data has no wrong password sent again by replicas that refused it before', async () => {
  const { redis, replicas, binds } = place;
  const { alice } = await place.newUsers('flushed');
  const [wrong] = wrongPasswords(alice.name, 1);
  for (let incident = 0; incident < 5; incident++) {
    for (const { ask } of replicas) expect(await ask(wrong ?? '')).toEqual(refused);
    await redis.client().flushall();
  }
  expect(await binds(alice)).toBe(1);
  for (const { ask } of replicas)
    expect(await ask(alice.token)).toHaveProperty('authenticated', true);
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
  for (const { ask } of replicas)
    expect(await ask(ldapToken(alice.name, randomToken()))).toEqual(refused);
  expect(await binds(alice)).toBe(replicas.length * maxFailures);
});

test('while Redis hangs, known passwords are accepted immediately, others once it is found to be down, and no circuit opens', async () => {
  await using _ = await withRedisTimeout('100ms', place.replicas, place.redis);
  const { redis, replicas } = place;
  const { alice, bob } = await place.newUsers('hung');
  const [one, other] = replicas;
  for (const _ of [1, 2, 3])
    expect(await one?.ask(alice.token)).toHaveProperty('authenticated', true);
  await redis.hang();
  expect(await one?.ask(alice.token)).toHaveProperty('authenticated', true);
  const failed = { authenticated: false, error: expect.stringContaining('corp') };
  for (const replica of [other, one]) {
    await waitFor(async () => {
      const status = await replica?.ask(bob.token);
      if (status?.authenticated !== true) expect(status).toEqual(failed);
      return status?.authenticated === true;
    }, 'Redis to be found to be down');
  }
  for (const each of replicas)
    expect(await each.metric('sallyport_authenticator_circuit_state')).toBe(0);
});
