import { setTimeout } from 'node:timers/promises';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { describe, expect, test } from 'vitest';
import { type CacheGateway, sealingKey, shared, startCacheGateway } from './testing/cache-gateway.ts';
import { ada, down, hang, isAda, no, refused, unavailable } from './testing/chain.ts';
import { untilCached } from './testing/redis-contents.ts';
import { type ScriptedBackend, startScriptedBackend } from './testing/scripted-backend.ts';
import { randomToken } from './testing/tokens.ts';

interface Place extends AsyncDisposable {
  readonly backend: ScriptedBackend;
  readonly redis: RedisServer;
  readonly gateway: CacheGateway;
}

/** An answer expires after a tenth of a second, and is used as a stale one for as long as `staleTtl` says. */
const authenticatedTtl = 100;

async function start(staleTtl: string, entry: object = {}): Promise<Place> {
  await using resources = new AsyncDisposableStack();
  const backend = await startScriptedBackend();
  const redis = resources.use(await startRedis());
  const lifetimes = { authenticatedTtl: `${authenticatedTtl}ms`, rejectedTtl: '100ms', staleTtl };
  const authenticators = [shared(backend, 'corp', lifetimes, { timeout: '200ms', ...entry })];
  const setup = { redis: { url: redis.url }, keys: [sealingKey()], authenticators };
  const gateway = resources.use(await startCacheGateway(setup));
  const owned = resources.move();
  return { backend, redis, gateway, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

const staleOf = async ({ lookups }: CacheGateway) =>
  (await lookups('memory', 'stale')) + (await lookups('redis', 'stale'));

/** Log lines of reviews that used a stale answer. */
const markedStale = ({ gateway: { output } }: CacheGateway) =>
  output.lines.filter(
    ({ msg, cached, outcome }) => msg === 'token review' && cached === 'stale' && outcome === 'authenticated',
  );

const neverOpens = { circuit: { minimumCalls: 1_000_000 } };

describe.concurrent('while the backend', () => {
  test.each([
    ['is down', down, neverOpens],
    ['hangs', hang, neverOpens],
    ['has an open circuit', down, { circuit: { minimumCalls: 1, openFor: '60s' } }],
  ] as const)(
    '%s, its last positive answer takes its place, is counted and logged, and ends in its time',
    async (name, outage, entry) => {
      await using place = await start('3s', entry);
      const { backend, gateway } = place;
      const [token, unknown] = [randomToken(), randomToken()];
      backend.answer(token, ada);
      expect(await gateway.ask(token)).toEqual(isAda);
      const known = performance.now();
      backend.answer(token, outage);
      backend.answer(unknown, outage);
      await waitFor(async () => {
        expect(await gateway.ask(token)).toEqual(isAda);
        return markedStale(gateway).length > 0;
      }, 'the last positive answer to be used');
      expect(await gateway.ask(unknown)).toEqual(unavailable);
      const asked = backend.callsOf(token).length;
      await waitFor(async () => {
        await setTimeout(50);
        const began = performance.now();
        const status = await gateway.ask(token);
        if (began - known > authenticatedTtl + 3_000) expect(status).toEqual(unavailable);
        return !status.authenticated;
      }, 'its end');
      expect(await staleOf(gateway)).toBe(markedStale(gateway).length);
      const line = gateway.gateway.output.lines.find(
        ({ cached, reason }) => cached === 'stale' && reason !== undefined,
      );
      expect(line).toMatchObject({
        level: 'warn',
        msg: 'authenticator could not check a token',
        authenticator: 'corp',
      });
      // With an open circuit it is not asked even once more.
      if (name === 'has an open circuit') expect(backend.callsOf(token)).toHaveLength(asked);
      expect(await gateway.ask(unknown)).toEqual(unavailable);
    },
  );

  test('is down, its last positive answer is not used with staleTtl: 0', async () => {
    await using place = await start('0', neverOpens);
    const { backend, gateway } = place;
    const token = randomToken();
    backend.answer(token, ada);
    expect(await gateway.ask(token)).toEqual(isAda);
    const known = performance.now();
    backend.answer(token, down);
    await waitFor(async () => {
      const began = performance.now();
      const status = await gateway.ask(token);
      if (began - known > authenticatedTtl) expect(status).toEqual(unavailable);
      return !status.authenticated;
    }, 'the end of the positive answer');
    expect([await staleOf(gateway), markedStale(gateway)]).toEqual([0, []]);
  });

  test('was asked again and refused, its earlier positive answer is gone, on the replica that asked and in Redis', async () => {
    await using place = await start('60s', neverOpens);
    const { backend, gateway, redis } = place;
    const token = randomToken();
    backend.answer(token, ada);
    expect(await gateway.ask(token)).toEqual(isAda);
    backend.answer(token, down);
    await waitFor(
      async () => (await gateway.ask(token)).authenticated && markedStale(gateway)[0],
      'a last positive answer',
    );
    await untilCached(redis, 1);
    backend.answer(token, refused);
    expect(await gateway.ask(token)).toEqual(no);
    await untilCached(redis, 0);
    backend.answer(token, down);
    await waitFor(async () => {
      const status = await gateway.ask(token);
      expect(status.authenticated).toBe(false);
      return 'error' in status;
    }, 'the end of the refusal, behind which no positive answer is left');
    await using other = await startCacheGateway(gateway.setup);
    expect(await other.ask(token)).toEqual(unavailable);
  });

  test('is down, a replica that has just started uses the stale answer in Redis', async () => {
    await using place = await start('60s', neverOpens);
    const { backend, gateway, redis } = place;
    const [token, unknown] = [randomToken(), randomToken()];
    backend.answer(token, ada);
    expect(await gateway.ask(token)).toEqual(isAda);
    await untilCached(redis, 1);
    await gateway.gateway.stop();
    backend.answerOthers(down);
    backend.answer(token, down);
    await using again = await startCacheGateway({ ...gateway.setup, folder: gateway.gateway.folder });
    expect(await again.ask(token)).toEqual(isAda);
    expect([await again.lookups('redis', 'stale'), markedStale(again).length]).toEqual([1, 1]);
    expect(await again.ask(unknown)).toEqual(unavailable);
  });
});
