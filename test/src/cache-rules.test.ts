import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { issue, writeRecord } from '@sallyport/test-servers/redis-tokens';
import { staticAuthenticator, tokensFile } from '@sallyport/test-servers/static-tokens';
import { randomToken, secret } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CacheGateway, sealingKey, startCacheGateway } from './testing/cache-gateway.ts';
import { ada, down, isAda, no, noOpinion, refusal } from './testing/chain.ts';
import { cachedAnswers, untilCached } from './testing/redis-contents.ts';
import { isRobot, robots } from './testing/redis-gateway.ts';
import type { ScriptedAnswer } from './testing/script-messages.ts';
import {
  authenticated,
  type ScriptedBackend,
  startScriptedBackend,
} from './testing/scripted-backend.ts';

const identity = { username: { prefix: 'corp:' }, groups: { prefix: 'corp:', allow: ['k8s-*'] } };
const [ci, cd] = [randomToken(), randomToken()];

let backend: ScriptedBackend;
let redis: RedisServer;
let gateway: CacheGateway;

/** Makes the authenticators. Each has its own tokens, by their prefix, except those of files and of Redis. */
function authenticators({ ignoresAbort = false, corp = identity } = {}): readonly object[] {
  const cache = { store: 'shared' };
  const short = { authenticatedTtl: '100ms', staleTtl: '100ms' };
  const closed = { circuit: { minimumCalls: 1e6 } };
  return [
    { ...staticAuthenticator, name: 'static' },
    robots({ url: redis.url }, { cache: {} }),
    backend.authenticator('first', { cache: 'off' }, { recognizes: 'chain-' }),
    backend.authenticator('second', { cache }, { recognizes: 'chain-' }),
    backend.authenticator('corp', { cache, ...corp }, { recognizes: 'corp-' }),
    backend.authenticator('a', { cache }, { recognizes: 'a-', ignoresAbort }),
    backend.authenticator('b', { cache }, { recognizes: 'b-' }),
    backend.authenticator(
      'brief',
      { cache: { ...short, store: 'memory' }, ...closed },
      { recognizes: 'brief-' },
    ),
    backend.authenticator(
      'long',
      { cache: { ...short, ...cache, staleTtl: '1h' }, ...closed },
      { recognizes: 'long-' },
    ),
  ];
}

beforeAll(async () => {
  [backend, redis] = [await startScriptedBackend(), await startRedis()];
  gateway = await startCacheGateway({
    authenticators: authenticators(),
    redis: { url: redis.url },
    keys: [sealingKey()],
    files: { 'tokens.yaml': tokensFile({ [ci]: 'ci', [cd]: 'cd' }) },
  });
});
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await redis[Symbol.asyncDispose]();
});

/** Makes a token with this answer of its authenticator. */
function tokenOf(start: string, answer: ScriptedAnswer = ada): string {
  const token = secret(`${start}-${randomToken()}`);
  backend.answer(token, answer);
  return token;
}
const callsOf = (...tokens: readonly string[]) =>
  tokens.map((token) => backend.callsOf(token).length);

/** Counts the answers that `use` adds to Redis. */
async function addedBy(use: () => Promise<unknown>, count: number): Promise<void> {
  const before = (await cachedAnswers(redis)).length;
  await use();
  await untilCached(redis, before + count);
}

test('a cached answer never goes before an earlier authenticator, and keeps its own place while that one is down', async () => {
  const token = tokenOf('chain', noOpinion);
  backend.answer(token, authenticated('second'), 'second');
  const isNow = async (name: string) =>
    expect((await gateway.ask(token)).user?.username).toBe(name);
  await isNow('second');
  backend.answer(token, ada, 'first');
  await isNow('ada');
  backend.answer(token, refusal, 'first');
  expect(await gateway.ask(token)).toEqual(no);
  backend.answer(token, down, 'first');
  await isNow('second');
  expect(
    backend.callsOf(token).filter(({ authenticator }) => authenticator === 'second'),
  ).toHaveLength(1);
});

describe('a token that was refused', () => {
  test('is not sent to its backend again while its refusal is cached', async () => {
    for (const answer of [refusal, noOpinion]) {
      const token = tokenOf('a', answer);
      for (const _ of [1, 2, 3]) expect(await gateway.ask(token)).toEqual(no);
      expect(callsOf(token)).toEqual([1]);
    }
  });

  test('leaves nothing in Redis, and hundreds of them remove no positive answer', async () => {
    const known = tokenOf('a', authenticated('known'));
    await addedBy(() => gateway.ask(known), 1);
    const before = await cachedAnswers(redis);
    const wrong: ScriptedAnswer = {
      kind: 'rejected',
      reason: 'invalid-credentials',
      subject: 'known',
    };
    const tokens = Array.from({ length: 200 }, (_, n) =>
      tokenOf('a', n % 2 === 0 ? wrong : noOpinion),
    );
    for (let first = 0; first < tokens.length; first += 50) {
      const next = tokens.slice(first, first + 50);
      expect(await Promise.all(next.map((token) => gateway.ask(token)))).toEqual(
        next.map(() => no),
      );
    }
    expect(await cachedAnswers(redis)).toEqual(before);
    expect(await gateway.ask(known)).toMatchObject({ authenticated: true });
    expect(callsOf(known)).toEqual([1]);
  });
});

test('one user has at most eight answers in Redis, which evict those of no other user', async () => {
  const other = tokenOf('b', authenticated('other'));
  await addedBy(() => gateway.ask(other), 1);
  const before = await cachedAnswers(redis);
  const tokens = Array.from({ length: 20 }, () => tokenOf('b', authenticated('many')));
  await addedBy(async () => {
    for (const token of tokens)
      expect(await gateway.ask(token)).toMatchObject({ authenticated: true });
  }, 8);
  expect(await cachedAnswers(redis)).toEqual(expect.arrayContaining(before));
});

describe('while the backend is down', () => {
  const stale = ({ gateway: { output } }: CacheGateway) =>
    output.lines.filter(({ cached }) => cached === 'stale');

  test('a user who logged in before stays in until staleTtl has passed, and the log says so', async () => {
    const [token, brief, unknown] = [tokenOf('long'), tokenOf('brief'), tokenOf('long', down)];
    for (const known of [token, brief]) expect(await gateway.ask(known)).toEqual(isAda);
    const end = Date.now() + 200;
    for (const known of [token, brief]) backend.answer(known, down);
    await waitFor(async () => {
      expect(await gateway.ask(token)).toEqual(isAda);
      return stale(gateway).length > 0;
    }, 'the last positive answer to be used');
    expect(await gateway.ask(unknown)).toEqual({
      authenticated: false,
      error: 'authenticator long unavailable',
    });
    await waitFor(async () => {
      const asked = Date.now();
      const { authenticated, error } = await gateway.ask(brief);
      if (asked > end) expect(error).toBe('authenticator brief unavailable');
      return !authenticated;
    }, 'the end of the other one');
    expect(await gateway.ask(token)).toEqual(isAda);
    const counted = await gateway.metric('sallyport_cache_lookups_total', 'result="stale"');
    const reviews = () => stale(gateway).filter(({ msg }) => msg === 'token review').length;
    await waitFor(() => reviews() === counted, 'a line of each of these reviews');
    expect(stale(gateway).find(({ reason }) => reason !== undefined)).toMatchObject({
      ...{ level: 'warn', msg: 'authenticator could not check a token', authenticator: 'long' },
    });
  });

  test('so does a user who logged in through another replica', async () => {
    const token = tokenOf('long');
    await addedBy(() => gateway.ask(token), 1);
    backend.answer(token, down);
    await using other = await startCacheGateway(gateway.setup);
    await waitFor(async () => {
      expect(await other.ask(token)).toEqual(isAda);
      return stale(other).length > 0;
    }, 'the answer of the other replica to be used');
    expect(backend.callsOf(token).length).toBeGreaterThan(1);
  });
});

describe('no answer is in Redis', () => {
  test('of a static token: one that was taken out of its file is refused after the reload', async () => {
    const before = await gateway.metric('sallyport_cache_lookups_total');
    await addedBy(async () => {
      for (const _ of [1, 2]) expect(await gateway.ask(ci)).toMatchObject({ authenticated: true });
    }, 0);
    expect(await gateway.metric('sallyport_cache_lookups_total')).toBe(before);
    await gateway.gateway.write('tokens.yaml', tokensFile({ [cd]: 'cd' }));
    await gateway.gateway.reload();
    expect(await gateway.ask(ci)).toEqual(no);
    expect(await gateway.ask(cd)).toMatchObject({ authenticated: true });
  });

  test('of a Redis token, which is cached in memory only, and 5s at most', async () => {
    const issued = await issue(() => redis, { username: 'ci' });
    await addedBy(async () => expect(await gateway.ask(issued)).toEqual(isRobot('ci')), 0);
    const end = performance.now() + 5_000;
    await writeRecord(
      () => redis,
      issued,
      JSON.stringify({ username: 'ci', revokedAt: '2026-05-01T00:00:00Z' }),
    );
    await waitFor(async () => {
      const asked = performance.now();
      const status = await gateway.ask(issued);
      if (asked > end) expect(status).toEqual(no);
      return !status.authenticated;
    }, 'the revocation to hold');
  });

  test('of an authenticator with cache: off, nor in memory', async () => {
    const token = tokenOf('chain', ada);
    await addedBy(async () => expect(await gateway.ask(token)).toEqual(isAda), 0);
    backend.answer(token, refusal);
    expect(await gateway.ask(token)).toEqual(no);
  });
});

describe('an edit of gateway.yaml', () => {
  test('of one authenticator’s options leaves its answers behind, and those of another in place', async () => {
    const tokens = [tokenOf('a', authenticated('eve')), tokenOf('b', authenticated('eve'))];
    const askAll = async () => {
      for (const token of tokens)
        expect(await gateway.ask(token)).toMatchObject({ authenticated: true });
      return callsOf(...tokens);
    };
    expect([await askAll(), await askAll()]).toEqual([
      [1, 1],
      [1, 1],
    ]);
    await gateway.reconfigure({ authenticators: authenticators({ ignoresAbort: true }) });
    expect(await askAll()).toEqual([2, 1]);
    // The answers that were cached under the old options still belong to these.
    await gateway.reconfigure({});
    expect(await askAll()).toEqual([2, 1]);
  });

  test('of prefixes and allowed groups holds for cached answers, from memory and from Redis', async () => {
    const token = tokenOf('corp', authenticated('ada', ['k8s-admins', 'dev-web']));
    const isUser = (username: string, group: string) => ({
      authenticated: true,
      user: { username, groups: [group] },
    });
    await addedBy(
      async () => expect(await gateway.ask(token)).toEqual(isUser('corp:ada', 'corp:k8s-admins')),
      1,
    );
    const corp = { username: { prefix: 'acme:' }, groups: { prefix: 'acme:', allow: ['dev-*'] } };
    const changed = { authenticators: authenticators({ corp }) };
    await gateway.reconfigure(changed);
    expect(await gateway.ask(token)).toEqual(isUser('acme:ada', 'acme:dev-web'));
    await using other = await startCacheGateway({ ...gateway.setup, ...changed });
    expect(await other.ask(token)).toEqual(isUser('acme:ada', 'acme:dev-web'));
    expect([await other.lookups('redis', 'hit'), ...callsOf(token)]).toEqual([1, 1]);
    await gateway.reconfigure({});
  });
});
