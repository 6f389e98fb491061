import { AuthenticatorError, type Decision } from '@sallyport/authenticator';
import { describe, expect, test } from 'vitest';
import { createMemoryTier } from '../cache/memory-tier.ts';
import { createClocks, createRevocations, lifetimes, minute, never, yes } from '../cache/testing/cached-replica.ts';
import type { LinkContext, Source } from '../chain/chain.ts';
import type { GuardedLink } from '../chain/guard.ts';
import { assembleLink } from './assemble.ts';

const nobodyBlocked = { ofToken: () => undefined, ofUser: () => undefined };

/** A whole link, as the gateway stacks it, around a backend that the test plays. */
function setUp(answer: (token: string) => Promise<Decision>) {
  const clocks = createClocks();
  const looks: string[] = [];
  let asked = 0;
  const authenticate = async (token: string) => {
    asked += 1;
    return backend.answer(token);
  };
  const link = assembleLink({
    config: {
      name: 'corp',
      timeout: 3_000,
      maxConcurrent: 1,
      maxWaiting: 0,
      circuit: { minimumCalls: 5, openFor: 10 * minute },
      onError: 'stop',
      username: { prefix: 'corp:' },
      groups: { prefix: 'corp:', max: 10 },
      allowSystemNames: [],
      allowCredentialId: false,
      cache: { ...lifetimes, store: 'memory' },
      fingerprint: 'one',
    },
    authenticator: { authenticate, close: async () => {} },
    prefixes: { usernames: ['corp:'], groups: ['corp:'] },
    apiAudiences: () => [],
    log: { info: () => {}, warn: () => {} },
    clocks,
    cache: {
      memory: createMemoryTier(100),
      revocations: createRevocations(),
      metrics: { lookup: (_, tier, result) => looks.push(`${tier} ${result}`), coalesced: () => {} },
    },
    blocks: nobodyBlocked,
    onAbandoned: () => {},
  });
  const backend = { answer, clocks, link, looks, asked: () => asked };
  return backend;
}

/** The source of the answer and who it is, or why there is none. */
async function ask({ authenticator }: GuardedLink, token = 'token'): Promise<string> {
  let source: Source | 'backend' = 'backend';
  const context: LinkContext = {
    audiences: [],
    signal: never,
    onCached(from) {
      source = from;
    },
  };
  try {
    const decision = await authenticator.authenticate(token, context);
    return `${source}: ${decision.kind === 'authenticated' ? decision.user.username : decision.kind}`;
  } catch (error) {
    return AuthenticatorError.is(error) ? error.message : String(error);
  }
}

describe('the last positive answer is used', () => {
  test('while the circuit is open: the backend is not asked, and who has none learns why', async () => {
    const backend = setUp(async () => yes());
    const { link, clocks } = backend;
    expect(await ask(link)).toBe('backend: corp:jane');
    clocks.pass(lifetimes.authenticatedTtl);
    backend.answer = async () => {
      throw new AuthenticatorError('unavailable', 'down');
    };
    for (let count = 0; count < 5; count += 1) expect(await ask(link)).toBe('stale: corp:jane');
    expect(link.guard.circuitState).toBe('open');
    const asked = backend.asked();
    expect(await ask(link)).toBe('stale: corp:jane');
    expect(await ask(link, 'other')).toMatch(/circuit/);
    expect(backend.asked()).toBe(asked);
  });

  test('while as many lookups are under way as may be', async () => {
    const backend = setUp(async () => yes());
    const { link, clocks } = backend;
    await ask(link);
    clocks.pass(lifetimes.authenticatedTtl);
    const { promise, resolve } = Promise.withResolvers<Decision>();
    backend.answer = () => promise;
    const long = ask(link, 'other');
    expect(await ask(link)).toBe('stale: corp:jane');
    expect(await ask(link, 'third')).toMatch(/maxConcurrent/);
    resolve(yes('joan'));
    expect(await long).toBe('backend: corp:joan');
  });

  test('for what is no sound decision, and that is not cached', async () => {
    const backend = setUp(async () => yes());
    const { link, clocks } = backend;
    await ask(link);
    clocks.pass(lifetimes.authenticatedTtl);
    backend.answer = async () => ({ kind: 'authenticated', user: {} }) as unknown as Decision;
    expect(await ask(link)).toBe('stale: corp:jane');
    for (const _ of [1, 2]) expect(await ask(link, 'other')).toMatch(/username is not a string/);
    expect(backend.asked()).toBe(4);
  });
});

test('a token that ends is cached until its end, and is expired from then on', async () => {
  const backend = setUp(async () => yes());
  const { link, clocks } = backend;
  const expiresAt = new Date(clocks.wall() + minute);
  backend.answer = async () => yes('jane', { expiresAt });
  expect(await ask(link)).toBe('backend: corp:jane');
  clocks.pass(minute - 1);
  expect(await ask(link)).toBe('memory: corp:jane');
  clocks.pass(1);
  expect(await ask(link)).toBe('backend: rejected');
  expect(await ask(link)).toBe('memory: rejected');
});
