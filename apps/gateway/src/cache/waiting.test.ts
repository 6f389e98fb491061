import type { Decision } from '@sallyport/authenticator';
import { describe, expect, test } from 'vitest';
import { authenticated, createReplica, lifetimes, type Replica, rejected } from './testing/cached-replica.ts';

/** A backend that answers when the test says so, or when its signal is aborted. */
function setUp() {
  const begun: { signal: AbortSignal; land(decision: Decision): void }[] = [];
  const replica = createReplica({
    answer: (_token, _audiences, signal) => {
      const { promise, resolve, reject } = Promise.withResolvers<Decision>();
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      begun.push({ signal, land: resolve });
      return promise;
    },
  });
  return { begun, replica };
}

/** Asks, with what ends it. */
function ask(replica: Replica) {
  const controller = new AbortController();
  const ended = replica.ask('token', [], controller.signal).then(
    ({ decision }) => decision.kind,
    (error: Error) => error.message,
  );
  return { ended, leave: (why: string) => controller.abort(new Error(why)) };
}
/** Resolves when the questions of this turn of the event loop are in progress. */
const untilInProgress = () => new Promise(setImmediate);

describe('a caller that waits for an answer', () => {
  test('leaves by its own signal alone, whoever began the lookup', async () => {
    for (const leaver of [0, 1, 2]) {
      const { begun, replica } = setUp();
      const all = [ask(replica), ask(replica), ask(replica)];
      await untilInProgress();
      all[leaver]?.leave('gone');
      expect(await all[leaver]?.ended).toBe('gone');
      expect(begun.map(({ signal }) => signal.aborted)).toEqual([false]);
      begun[0]?.land(authenticated());
      const ends = await Promise.all(all.map(({ ended }) => ended));
      expect(ends).toEqual([0, 1, 2].map((each) => (each === leaver ? 'gone' : 'authenticated')));
      expect(await replica.outcome()).toBe('memory: jane');
    }
  });

  test('waits for no lookup of a review that went through fewer gateways, since it may be the same review', async () => {
    const { begun, replica } = setUp();
    const asked = [undefined, 1, 1, 2].map((hops) =>
      replica.authenticator.authenticate('token', { audiences: [], signal: new AbortController().signal, hops }),
    );
    await untilInProgress();
    expect(begun).toHaveLength(3);
    for (const { land } of begun) land(authenticated());
    expect(await Promise.all(asked)).toMatchObject(asked.map(() => ({ kind: 'authenticated' })));
  });

  test('waits no longer than that for a backend that never answers, whose call is aborted when the last caller leaves', async () => {
    const { begun, replica } = setUp();
    const all = [ask(replica), ask(replica)];
    await untilInProgress();
    all[0]?.leave('first');
    expect([await all[0]?.ended, begun[0]?.signal.aborted]).toEqual(['first', false]);
    all[1]?.leave('last');
    expect([await all[1]?.ended, begun[0]?.signal.aborted]).toEqual(['last', true]);
    // The next one begins anew.
    const next = ask(replica);
    await untilInProgress();
    expect(begun).toHaveLength(2);
    begun[1]?.land(rejected);
    expect(await next.ended).toBe('rejected');
  });

  test('gets no stale answer after its deadline', async () => {
    const { begun, replica } = setUp();
    const first = ask(replica);
    await untilInProgress();
    begun[0]?.land(authenticated());
    await first.ended;
    replica.clocks.pass(lifetimes.authenticatedTtl);
    const late = ask(replica);
    await untilInProgress();
    late.leave('too late');
    expect(await late.ended).toBe('too late');
    await untilInProgress();
    expect(replica.looks).not.toContain('memory stale');
  });

  test('does not join a lookup from before a revocation that was known when it came', async () => {
    const { begun, replica } = setUp();
    const before = ask(replica);
    await untilInProgress();
    replica.revocations.revision = 1;
    replica.revocations.revoked.set('jane', 1);
    const after = ask(replica);
    await untilInProgress();
    expect(begun).toHaveLength(2);
    begun[1]?.land(rejected);
    expect(await after.ended).toBe('rejected');
    // What lands last is the older one. It takes the place of nothing.
    begun[0]?.land(authenticated());
    expect(await before.ended).toBe('authenticated');
    expect(await replica.outcome()).toBe('memory: rejected');
  });
});
