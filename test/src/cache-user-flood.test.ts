import { toLdif } from '@sallyport/test-servers/ldif';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { expect, test } from 'vitest';
import { type CacheGateway, sealingKey, startReplicas } from './testing/cache-gateway.ts';
import { ldapToken, startPeople } from './testing/ldap-gateway.ts';
import { cachedAnswers, untilCached } from './testing/redis-contents.ts';
import { randomToken } from './testing/tokens.ts';

/** The least that a config may have. */
const maxEntries = 100;

/** Spellings that a directory takes for the same name: 32 ways to write its letters, each after up to seven spaces. */
function spellingsOf(name: string): string[] {
  return Array.from({ length: 240 }, (_, n) => {
    const letters = Array.from(name, (letter, at) => ((n >> at) & 1 ? letter.toUpperCase() : letter));
    return ' '.repeat(n >> name.length) + letters.join('');
  });
}

/** Ten at a time. Of one name a gateway looks up 20 tokens a second, so some are asked again. */
async function askAll({ ask }: CacheGateway, tokens: readonly string[]): Promise<unknown[]> {
  const answers: unknown[] = [];
  const untilChecked = (token: string) =>
    waitFor(async () => {
      const answer = await ask(token);
      return answer.error === undefined && answer;
    }, 'an answer');
  for (let at = 0; at < tokens.length; at += 10) {
    answers.push(...(await Promise.all(tokens.slice(at, at + 10).map(untilChecked))));
  }
  return answers;
}

/** What Redis has once nothing is written behind reviews any more. */
async function settled(redis: RedisServer, count: number): Promise<string[]> {
  await waitFor(async () => (await cachedAnswers(redis)).length === count, `${count} records in Redis`);
  return cachedAnswers(redis);
}

test('a user who writes the own name in hundreds of ways pushes no other user out of memory, and does not fill Redis', async () => {
  await using people = await startPeople();
  await using redis = await startRedis();
  const { slapd, alice } = people;
  const others = Array.from({ length: 20 }, (_, n) => ({ name: `user-${n}`, password: randomToken() }));
  const entries = others.map(({ name, password }) => ({
    dn: `uid=${name},ou=people,${slapd.suffix}`,
    attributes: { objectClass: ['account', 'simpleSecurityObject'], userPassword: password },
  }));
  await slapd.add(toLdif(entries));
  const otherTokens = others.map(({ name, password }) => ldapToken(name, password));
  const cache = { store: 'shared', authenticatedTtl: '5m' };
  await using started = await startReplicas(2, {
    redis: { url: redis.url },
    keys: [sealingKey()],
    cache: { memory: { maxEntries } },
    authenticators: [people.authenticator({ entry: { cache } })],
    files: people.files,
  });
  const [one, other] = started.replicas as [CacheGateway, CacheGateway];
  for (const replica of [one, other]) await askAll(replica, otherTokens);
  const before = await untilCached(redis, otherTokens.length);
  const spellings = spellingsOf(alice.name).map((name) => ldapToken(name, alice.password));
  const halves = [spellings.slice(0, 120), spellings.slice(120)] as const;
  const answers = await Promise.all([askAll(one, halves[0]), askAll(other, halves[1])]);
  // That all of them are one user: else the test shows nothing.
  const isAlice = { authenticated: true, user: { username: 'corp:alice', groups: ['corp:k8s-admins'] } };
  expect(answers.flat()).toEqual(spellings.map(() => isAlice));
  const records = await settled(redis, before.length + 8);
  const lost = [];
  for (const replica of [one, other]) {
    const hits = await replica.lookups('memory', 'hit');
    await askAll(replica, otherTokens);
    lost.push(otherTokens.length - ((await replica.lookups('memory', 'hit')) - hits));
  }
  console.info(
    `${spellings.length} spellings of one user, over two replicas of ${maxEntries} entries: ` +
      `${lost.join(' and ')} of ${otherTokens.length} others pushed out of memory, ${records.length - before.length} records more in Redis`,
  );
  expect(lost).toEqual([0, 0]);
  expect(records).toHaveLength(before.length + 8);
  expect(records).toEqual(expect.arrayContaining(before));
  // The user has eight in each memory, which are used.
  const eight = halves[0].slice(-8);
  await waitFor(async () => {
    const hits = await one.lookups('memory', 'hit');
    await askAll(one, eight);
    return (await one.lookups('memory', 'hit')) - hits === eight.length;
  }, 'eight answers of the user in memory');
});
