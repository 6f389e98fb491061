import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CacheGateway, sealingKey, shared, startCacheGateway, startReplicas } from './testing/cache-gateway.ts';
import { ada, hang, isAda, unavailable } from './testing/chain.ts';
import { type People, startPeople } from './testing/ldap-gateway.ts';
import { type ScriptedBackend, startScriptedBackend } from './testing/scripted-backend.ts';
import { sum } from './testing/sum.ts';
import { reviewBody } from './testing/token-review.ts';
import { randomToken } from './testing/tokens.ts';

const isAlice = { authenticated: true, user: { username: 'corp:alice', groups: ['corp:k8s-admins'] } };
const joined = (gateway: CacheGateway) => gateway.metric('sallyport_coalesced_lookups_total');

describe('a token that many ask about at once', () => {
  let people: People;
  beforeAll(async () => {
    people = await startPeople();
  });
  afterAll(() => people[Symbol.asyncDispose]());

  // What one replica does with many callers at once is the same with each of the two programs.
  test.each([
    ['redis-server', 3],
    ['valkey-server', 1],
  ] as const)(
    'costs the directory one login for each replica at most, and the next replica none, with %s and %i replicas',
    async (program, count) => {
      await using redis = await startRedis({ program });
      const entry = { cache: {}, timeout: '9s' };
      const corp = people.authenticator({ options: { serverTimeout: '4s' }, entry });
      const setup = { authenticators: [corp], redis: { url: redis.url }, keys: [sealingKey()], files: people.files };
      const { token, dn } = people.alice;
      const logins = async () => (await people.slapd.operations()).bindsByDn.get(dn) ?? 0;
      await using all = await startReplicas(count, setup);
      const earlier = await logins();
      const asked = Array.from({ length: 300 }, (_, index) => all.replicas[index % count]?.ask(token));
      expect(await Promise.all(asked)).toEqual(asked.map(() => isAlice));
      const cost = (await logins()) - earlier;
      expect(cost).toBeGreaterThanOrEqual(1);
      expect(cost).toBeLessThanOrEqual(count);
      const waited = sum(await Promise.all(all.replicas.map(joined)));
      const remembered = sum(await Promise.all(all.replicas.map(({ lookups }) => lookups('memory', 'hit'))));
      expect(waited + remembered).toBe(300 - count);
      console.info(`${program}: 300 reviews: ${cost} logins, ${waited} waited for these, ${remembered} came later`);

      await using next = await startCacheGateway(setup);
      const before = await people.slapd.operations();
      expect(await next.ask(token)).toEqual(isAlice);
      expect(await next.ask(token)).toEqual(isAlice);
      expect(await people.slapd.operations()).toEqual(before);
      // The first came from Redis, the second no more.
      expect([await next.lookups('redis', 'hit'), await next.lookups('memory', 'hit')]).toEqual([1, 1]);
    },
  );
});

describe('a caller that hangs up', () => {
  let backend: ScriptedBackend;
  let redis: RedisServer;
  let gateway: CacheGateway;
  beforeAll(async () => {
    [backend, redis] = [await startScriptedBackend(), await startRedis()];
    // Nothing but a caller ends a lookup here.
    const authenticators = [shared(backend, 'corp', {}, { timeout: '28s' })];
    const sharing = { redis: { url: redis.url }, keys: [sealingKey()] };
    gateway = await startCacheGateway({ authenticators, more: { server: { reviewTimeout: '29s' } }, ...sharing });
  });
  afterAll(async () => {
    await gateway[Symbol.asyncDispose]();
    await redis[Symbol.asyncDispose]();
  });

  async function hangUp(callers: readonly AbortController[]): Promise<void> {
    const gone = () => gateway.gateway.output.lines.filter(({ callerGone }) => callerGone === true).length;
    const before = gone();
    for (const caller of callers) caller.abort();
    await waitFor(() => gone() === before + callers.length, 'the gateway to see that the callers have gone');
  }

  /** One more, as soon as it waits for the answer. */
  async function askToo(token: string) {
    const [caller, before] = [new AbortController(), await joined(gateway)];
    const answer = gateway.client.send({ body: reviewBody(token), signal: caller.signal });
    await waitFor(async () => (await joined(gateway)) === before + 1, 'another to wait');
    return { caller, answer: answer.then(({ text }) => JSON.parse(text).status, String) };
  }

  test('does not end the lookup of others, also when it began it', async () => {
    const token = randomToken();
    backend.answer(token, hang);
    const beginner = new AbortController();
    const first = gateway.client.send({ body: reviewBody(token), signal: beginner.signal }).catch(String);
    const call = await backend.whenAsked(token);
    const [second, third] = [await askToo(token), await askToo(token)];
    await hangUp([beginner, second.caller]);
    expect(call.aborted).toBe(false);
    call.settle(ada);
    expect(await third.answer).toEqual(isAda);
    expect([await first, await second.answer]).toEqual([
      expect.stringMatching(/abort/i),
      expect.stringMatching(/abort/i),
    ]);
    expect(await gateway.ask(token)).toEqual(isAda);
    expect(backend.callsOf(token)).toHaveLength(1);
  });

  test('ends the lookup when it was the last, and the next caller does not notice', async () => {
    const token = randomToken();
    backend.answer(token, hang);
    const beginner = new AbortController();
    const first = gateway.client.send({ body: reviewBody(token), signal: beginner.signal }).catch(String);
    const call = await backend.whenAsked(token);
    const second = await askToo(token);
    await hangUp([beginner, second.caller]);
    await waitFor(() => call.aborted, 'the call to be given up');
    backend.answer(token, ada);
    expect(await gateway.ask(token)).toEqual(isAda);
    await Promise.all([first, second.answer]);
    expect(backend.callsOf(token)).toHaveLength(2);
  });

  test('fails for all who wait when the backend does, and the next one asks again', async () => {
    const token = randomToken();
    backend.answer(token, hang);
    const first = gateway.ask(token);
    const call = await backend.whenAsked(token);
    const second = await askToo(token);
    call.settle({ kind: 'throw', code: 'unavailable' });
    expect([await first, await second.answer]).toEqual([unavailable, unavailable]);
    backend.answer(token, ada);
    expect(await gateway.ask(token)).toEqual(isAda);
  });
});
