import { AuthenticatorError, type Decision } from '@sallyport/authenticator';
import { describe, expect, test } from 'vitest';
import { authenticated, lifetimes, minute, never } from '../engine/cache/testing/cached-replica.ts';
import type { AnswerSource, LinkContext } from '../engine/chain/chain.ts';
import type { GuardedLink } from '../engine/chain/guard.ts';
import { linkOf, linkParts } from './testing/link-parts.ts';

/** A whole link, as the gateway stacks it, around a backend that the test plays. */
function createCachedBackend() {
  let asked = 0;
  const authenticate = async (token: string) => {
    asked += 1;
    return backend.answer(token);
  };
  const parts = linkParts();
  const link = linkOf({ ...parts, authenticator: { authenticate, close: async () => {} } });
  const answer = async (_token: string): Promise<Decision> => authenticated();
  const backend = { answer, clocks: parts.clocks, link, asked: () => asked };
  return backend;
}

/** The source of the answer and who it is, or why there is none. */
async function outcome({ authenticator }: GuardedLink, token = 'token'): Promise<string> {
  let source: AnswerSource | 'backend' = 'backend';
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
    const backend = createCachedBackend();
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
    const backend = createCachedBackend();
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

  test('instead of an invalid decision, which is not cached', async () => {
    const backend = createCachedBackend();
    const { link, clocks } = backend;
    await outcome(link);
    clocks.pass(lifetimes.authenticatedTtl);
    backend.answer = async () => ({ kind: 'authenticated', user: {} }) as unknown as Decision;
    expect(await outcome(link)).toBe('stale: corp:jane');
    for (const _ of [1, 2])
      expect(await outcome(link, 'other')).toMatch(/username is not a string/);
    expect(backend.asked()).toBe(4);
  });
});

test('a token with an end is cached until then, and is expired from then on', async () => {
  const backend = createCachedBackend();
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
