import { startFaultProxy } from '@sallyport/test-servers/fault-proxy';
import { ldapToken, startPeople } from '@sallyport/test-servers/people';
import { startRedis } from '@sallyport/test-servers/redis';
import { randomToken } from '@sallyport/test-servers/tokens';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { sealingKey, startCacheReplicas } from './testing/cache-gateway.ts';
import { addCrowd } from './testing/ldap-crowd.ts';

const refused = { authenticated: false };
const failed = { authenticated: false, error: 'authenticator corp unavailable' };
const maxFailures = 3;

/** The beginning of a bind response (RFC 4511 section 4.2.2) with the code 49, and of one with any code. */
const [refusal, bindResponse] = [Buffer.of(0x61, 0x07, 0x0a, 0x01, 49), Buffer.of(0x61, 0x07)];
const noAnswer = Buffer.from('is in no answer');

/** Starts replicas in front of a directory, and a network that loses answers to binds. */
async function start() {
  await using resources = new AsyncDisposableStack();
  const people = resources.use(await startPeople());
  const redis = resources.use(await startRedis());
  const lost = { answers: refusal };
  const network = resources.use(
    await startFaultProxy({
      target: { host: '127.0.0.1', port: people.slapd.port },
      plan: () => ({ kind: 'lose', isLost: (chunk) => chunk.includes(lost.answers) }),
    }),
  );
  const urls = [`ldap://127.0.0.1:${network.port}`];
  const setup = {
    authenticators: [
      people.authenticator({ options: { urls, insecure: true, caFile: undefined } }),
    ],
    redis: { url: redis.url },
    keys: [sealingKey()],
    files: people.files,
  };
  const { replicas } = resources.use(await startCacheReplicas(3, setup));
  const owned = resources.move();
  return {
    replicas,
    lost,
    people,
    async binds(name: string) {
      const { suffix, operations } = people.slapd;
      return (await operations()).bindsByDn.get(`uid=${name},ou=people,${suffix}`) ?? 0;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

let place: Awaited<ReturnType<typeof start>>;
beforeAll(async () => {
  place = await start();
  // The connections of the service account are there before the network loses anything.
  for (const { ask } of place.replicas)
    expect(await ask(place.people.alice.token)).toHaveProperty('authenticated', true);
});
beforeEach(() => {
  place.lost.answers = refusal;
});
afterAll(() => place?.[Symbol.asyncDispose]());

/** Adds a user who is in no other test. */
async function newUser(name: string) {
  const [user] = await addCrowd(place.people, name, 1);
  if (user === undefined) throw new Error('there must be one');
  return user;
}

test('the directory sees a wrong password whose refusals are lost at most maxFailures times, on all replicas', async () => {
  const { replicas, binds, lost } = place;
  const { name } = await newUser('guessed');
  const wrong = ldapToken(name, randomToken());
  // Later attempts fail as well: this network also loses the refusals of binds that hide which names exist.
  for (let ask = 0; ask < 20; ask++) expect(await replicas[ask % 3]?.ask(wrong)).toEqual(failed);
  expect(await binds(name)).toBe(maxFailures);
  lost.answers = noAnswer;
  for (const token of [wrong, ldapToken(name, randomToken())])
    for (const { ask } of replicas) expect(await ask(token)).toEqual(refused);
  expect(await binds(name)).toBe(maxFailures);
});

test('a refusal that arrives ends it, and the right password still gets in', async () => {
  const { replicas, binds, lost } = place;
  const { name, token } = await newUser('refused');
  const wrong = ldapToken(name, randomToken());
  expect(await replicas[0]?.ask(wrong)).toEqual(failed);
  lost.answers = noAnswer;
  for (const { ask } of replicas) expect(await ask(wrong)).toEqual(refused);
  expect(await binds(name)).toBe(2);
  for (const { ask } of replicas) expect(await ask(token)).toHaveProperty('authenticated', true);
});

test('a network that loses an answer now and then keeps no right password out, and no lock stays', async () => {
  const { replicas, lost } = place;
  const { name, token } = await newUser('flapping');
  for (let flap = 0; flap < 5; flap++) {
    lost.answers = bindResponse;
    expect(await replicas[flap % 3]?.ask(token)).toEqual(failed);
    lost.answers = refusal;
    for (const { ask } of replicas) expect(await ask(token)).toHaveProperty('authenticated', true);
  }
  lost.answers = noAnswer;
  expect(await replicas[0]?.ask(ldapToken(name, randomToken()))).toEqual(refused);
  expect(await replicas[1]?.ask(token)).toHaveProperty('authenticated', true);
});
