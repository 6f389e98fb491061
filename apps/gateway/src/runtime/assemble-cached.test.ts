import { AuthenticatorError, type Decision } from '@sallyport/authenticator';
import { describe, expect, test } from 'vitest';
import { createMemoryTier } from '../cache/memory-tier.ts';
import {
  authenticated,
  createClocks,
  createRevocations,
  lifetimes,
  minute,
  never,
} from '../cache/testing/cached-replica.ts';
import type { LinkContext, Source } from '../chain/chain.ts';
import type { GuardedLink } from '../chain/guard.ts';
import { assembleLink } from './assemble.ts';

const nobodyBlocked = { ofToken: () => undefined, ofUser: () => undefined, ofCredential: () => undefined };

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
    logger: { info: () => {}, warn: () => {} },
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
async function outcome({ authenticator }: GuardedLink, token = 'token'): Promise<string> {
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

describe('the last positive answer is used stale', () => {
  test('while the circuit is open: the backend is not asked, and who has none learns why', async () => {
    const backend = setUp(async () => authenticated());
    const { link, clocks } = backend;
    expect(await outcome(link)).toBe('backend: corp:jane');
    clocks.pass(lifetimes.authenticatedTtl);
    backend.answer = async () => {
      throw new AuthenticatorError('unavailable', 'down');
    };
    for (let count = 0; count < 5; count += 1) expect(await outcome(link)).toBe('stale: corp:jane');
    expect(link.guard.circuitState).toBe('open');
    const asked = backend.asked();
    expect(await outcome(link)).toBe('stale: corp:jane');
    expect(await outcome(link, 'other')).toMatch(/circuit/);
    expect(backend.asked()).toBe(asked);
  });

  test('while as many lookups are in progress as may be', async () => {
    const backend = setUp(async () => authenticated());
    const { link, clocks } = backend;
    await outcome(link);
    clocks.pass(lifetimes.authenticatedTtl);
    const { promise, resolve } = Promise.withResolvers<Decision>();
    backend.answer = () => promise;
    const long = outcome(link, 'other');
    expect(await outcome(link)).toBe('stale: corp:jane');
    expect(await outcome(link, 'third')).toMatch(/maxConcurrent/);
    resolve(authenticated('joan'));
    expect(await long).toBe('backend: corp:joan');
  });

  test('in place of an unsound decision, which is not cached', async () => {
    const backend = setUp(async () => authenticated());
    const { link, clocks } = backend;
    await outcome(link);
    clocks.pass(lifetimes.authenticatedTtl);
    backend.answer = async () => ({ kind: 'authenticated', user: {} }) as unknown as Decision;
    expect(await outcome(link)).toBe('stale: corp:jane');
    for (const _ of [1, 2]) expect(await outcome(link, 'other')).toMatch(/username is not a string/);
    expect(backend.asked()).toBe(4);
  });
});

test('a token with an end is cached until then, and is expired from then on', async () => {
  const backend = setUp(async () => authenticated());
  const { link, clocks } = backend;
  const expiresAt = new Date(clocks.wall() + minute);
  backend.answer = async () => authenticated('jane', { expiresAt });
  expect(await outcome(link)).toBe('backend: corp:jane');
  clocks.pass(minute - 1);
  expect(await outcome(link)).toBe('memory: corp:jane');
  clocks.pass(1);
  expect(await outcome(link)).toBe('backend: rejected');
  expect(await outcome(link)).toBe('memory: rejected');
});
