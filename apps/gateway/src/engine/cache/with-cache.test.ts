import type { Decision } from '@sallyport/authenticator';
import { describe, expect, test } from 'vitest';
import type { MemoryTier } from './memory-tier.ts';
import {
  authenticated,
  type CachedReplica,
  createClocks,
  createReplica,
  lifetimes,
  minute,
  noOpinion,
  rejected,
} from './testing/cached-replica.ts';

const { authenticatedTtl, rejectedTtl, unknownTtl, staleTtl } = lifetimes;
const down = async () => {
  throw new Error('down');
};

describe('an answer is cached', () => {
  test.each([
    {
      name: 'authenticated',
      decision: authenticated(),
      lifetime: authenticatedTtl,
      answered: 'jane',
    },
    { name: 'a rejection', decision: rejected, lifetime: rejectedTtl, answered: 'rejected' },
    { name: 'no opinion', decision: noOpinion, lifetime: unknownTtl, answered: 'no-opinion' },
  ])('for its own time: $name', async ({ decision, lifetime, answered }) => {
    const replica = createReplica({ answer: () => decision });
    expect(await replica.outcome()).toBe(`backend: ${answered}`);
    replica.clocks.pass(lifetime - 1);
    expect(await replica.outcome()).toBe(`memory: ${answered}`);
    replica.clocks.pass(1);
    expect(await replica.outcome()).toBe(`backend: ${answered}`);
    expect(replica.asked).toBe(2);
    expect(replica.looks).toEqual(['memory miss', 'memory hit', 'memory miss']);
  });

  test('not at all where the backend is always asked', async () => {
    const replica = createReplica({ asksAlways: true });
    for (const _ of [1, 2]) expect(await replica.outcome()).toBe('backend: jane');
    expect(replica.asked).toBe(2);
  });

  test('counted from when the backend gave it, however often it is used', async () => {
    const replica = createReplica();
    replica.answer = async () => {
      replica.clocks.pass(2 * minute);
      return authenticated();
    };
    await replica.ask();
    for (let count = 0; count < 4; count += 1) {
      replica.clocks.pass(minute);
      expect(await replica.outcome()).toBe('memory: jane');
    }
    replica.clocks.pass(minute);
    expect(await replica.outcome()).toBe('backend: jane');
  });

  test('for the same token, audiences and config only', async () => {
    const replica = createReplica({
      answer: (token, audiences) => authenticated(`${token} ${audiences}`),
    });
    const other = createReplica({
      memory: replica.memory,
      settings: { fingerprint: 'two' },
      answer: () => authenticated('two'),
    });
    const third = createReplica({
      memory: replica.memory,
      answer: () => authenticated('one, too'),
    });
    await replica.ask('a', ['x', 'y']);
    expect(await replica.outcome('a', ['y', 'x', 'x'])).toBe('memory: a x,y');
    expect(await replica.outcome('a', ['x'])).toBe('backend: a x');
    expect(await replica.outcome('a')).toBe('backend: a ');
    expect(await replica.outcome('b', ['x', 'y'])).toBe('backend: b x,y');
    expect(await other.outcome('a', ['x', 'y'])).toBe('backend: two');
    expect(await third.outcome('a', ['x', 'y'])).toBe('memory: a x,y');
  });

  test('never of an error', async () => {
    const replica = createReplica({ answer: down });
    for (const asked of [1, 2, 3]) {
      await expect(replica.ask()).rejects.toThrow('down');
      expect(replica.asked).toBe(asked);
    }
    replica.answer = () => authenticated();
    expect(await replica.outcome()).toBe('backend: jane');
  });
});

describe('an answer of another version', () => {
  const versioned = (memory?: MemoryTier) => {
    const state = { version: 'a' };
    const settings = { answersVersion: () => state.version };
    return { state, replica: createReplica({ settings, ...(memory && { memory }) }) };
  };

  test('is not used, positive or negative, even while the backend is unavailable', async () => {
    const { state, replica } = versioned();
    await replica.ask();
    expect(await replica.outcome()).toBe('memory: jane');
    state.version = 'b';
    replica.answer = down;
    await expect(replica.ask()).rejects.toThrow('down');
    replica.answer = () => rejected;
    expect(await replica.outcome()).toBe('backend: rejected');
    expect(await replica.outcome()).toBe('memory: rejected');
    state.version = 'c';
    replica.answer = () => authenticated();
    expect(await replica.outcome()).toBe('backend: jane');
  });

  test('is used where the version is the same', async () => {
    const { replica } = versioned();
    await replica.ask();
    expect(await versioned(replica.memory).replica.outcome()).toBe('memory: jane');
  });

  test('is not cached, if the version changed while the backend answered', async () => {
    const { state, replica } = versioned();
    for (const version of ['b', 'a']) {
      replica.answer = async () => {
        state.version = version;
        return authenticated();
      };
      expect(await replica.outcome()).toBe('backend: jane');
    }
    replica.answer = () => rejected;
    expect(await replica.outcome()).toBe('backend: rejected');
  });
});

describe('while the backend is unavailable', () => {
  test('the last positive answer is used stale, no longer than lifetime and staleTtl from when it was given', async () => {
    const replica = createReplica();
    await replica.ask();
    replica.answer = down;
    replica.clocks.pass(authenticatedTtl);
    const { source, failure, until } = await replica.ask();
    expect([source, failure, until]).toEqual([
      'stale',
      new Error('down'),
      replica.clocks.wall() + staleTtl,
    ]);
    // To use it makes it no younger.
    for (const time of [10 * minute, staleTtl - 10 * minute - 1]) {
      replica.clocks.pass(time);
      expect(await replica.outcome()).toBe('stale: jane');
    }
    replica.clocks.pass(1);
    await expect(replica.ask()).rejects.toThrow('down');
    expect(replica.looks.filter((look) => look.endsWith('stale'))).toHaveLength(3);
  });

  test('a stale answer says the end of its token where that comes first', async () => {
    const clocks = createClocks();
    const expiresAt = new Date(clocks.wall() + authenticatedTtl);
    const replica = createReplica({
      clocks,
      asksAlways: true,
      answer: () => authenticated('jane', { expiresAt }),
    });
    await replica.ask();
    replica.answer = down;
    expect(await replica.ask()).toMatchObject({ source: 'stale', until: +expiresAt });
  });

  test.each([rejected, noOpinion])(
    'no answer is used that a later one replaced: $kind',
    async (later) => {
      const replica = createReplica();
      await replica.ask();
      replica.clocks.pass(authenticatedTtl);
      replica.answer = () => later;
      expect(await replica.outcome()).toBe(`backend: ${later.kind}`);
      replica.answer = down;
      replica.clocks.pass(rejectedTtl);
      await expect(replica.ask()).rejects.toThrow('down');
    },
  );

  test('neither a refusal is used stale, nor the answer to another question', async () => {
    const replica = createReplica({
      answer: (token) => (token === 'good' ? authenticated() : rejected),
    });
    for (const token of ['good', 'bad']) await replica.ask(token);
    replica.answer = down;
    replica.clocks.pass(authenticatedTtl);
    for (const [token, audiences] of [['bad'], ['good', ['x']], ['other']] as const) {
      await expect(replica.ask(token, audiences)).rejects.toThrow('down');
    }
    const other = createReplica({
      memory: replica.memory,
      settings: { fingerprint: 'two' },
      answer: down,
    });
    await expect(other.ask('good')).rejects.toThrow('down');
    expect(await replica.outcome('good')).toBe('stale: jane');
  });

  test('nothing is used stale where staleTtl is 0', async () => {
    const replica = createReplica({ settings: { staleTtl: 0 } });
    await replica.ask();
    replica.answer = down;
    replica.clocks.pass(authenticatedTtl);
    await expect(replica.ask()).rejects.toThrow('down');
  });

  test('a revoked answer is not used stale', async () => {
    const replica = createReplica();
    await replica.ask();
    replica.answer = down;
    replica.clocks.pass(authenticatedTtl);
    replica.revocations.revision = 1;
    replica.revocations.revoked.set('jane', 1);
    await expect(replica.ask()).rejects.toThrow('down');
  });
});

describe('what was revoked', () => {
  test.each(['corp:jane', 'token'])(
    'is not used from then on, by name or by token: %s',
    async (name) => {
      const replica = createReplica({ settings: { usernamePrefix: 'corp:' } });
      await replica.ask();
      replica.revocations.revision = 1;
      replica.revocations.revoked.set('jane', 1);
      expect(await replica.outcome()).toBe('memory: jane');
      replica.revocations.revoked.set(name, 1);
      expect(await replica.outcome()).toBe('backend: jane');
      // That one was asked for knowing of it.
      expect(await replica.outcome()).toBe('memory: jane');
    },
  );

  test.each([
    { by: 'the name that it refused', decision: rejected, name: 'corp:jane' },
    { by: 'its token', decision: rejected, name: 'token' },
    { by: 'its token', decision: noOpinion, name: 'token' },
  ])('by $by is asked for again after $decision.kind, too', async ({ decision, name }) => {
    const replica = createReplica({
      settings: { usernamePrefix: 'corp:' },
      answer: () => decision,
    });
    await replica.ask();
    replica.revocations.revision = 1;
    replica.revocations.revoked.set('someone else', 1);
    expect(await replica.outcome()).toBe(`memory: ${decision.kind}`);
    replica.revocations.revoked.set(name, 1);
    expect(await replica.outcome()).toBe(`backend: ${decision.kind}`);
  });

  test('during its lookup is answered and not stored', async () => {
    const replica = createReplica();
    replica.answer = () => {
      replica.revocations.revision = 1;
      replica.revocations.revoked.set('jane', 1);
      return authenticated();
    };
    expect(await replica.outcome()).toBe('backend: jane');
    expect(replica.memory.entries).toBe(0);
    replica.answer = () => rejected;
    expect(await replica.outcome()).toBe('backend: rejected');
  });
});

describe('cut off from the revocation list', () => {
  test('a cached answer is fresh for 10 s, and can still be used stale when the backend is down too', async () => {
    const replica = createReplica();
    await replica.ask();
    replica.revocations.isCutOff = true;
    replica.clocks.pass(9_999);
    expect(await replica.outcome()).toBe('memory: jane');
    replica.clocks.pass(1);
    replica.answer = down;
    expect(await replica.outcome()).toBe('stale: jane');
    replica.answer = () => authenticated('joan');
    expect(await replica.outcome()).toBe('backend: joan');
    replica.clocks.pass(10_000);
    replica.revocations.isCutOff = false;
    expect(await replica.outcome()).toBe('memory: joan');
  });
});

/** A backend that answers when the test says so, or when its signal is aborted. */
function createWaitingReplica() {
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
function ask(replica: CachedReplica) {
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
  test('waits for no lookup of a review that went through fewer gateways, since it may be the same review', async () => {
    const { begun, replica } = createWaitingReplica();
    const asked = [undefined, 1, 1, 2].map((hops) =>
      replica.authenticator.authenticate('token', {
        audiences: [],
        signal: new AbortController().signal,
        hops,
      }),
    );
    await untilInProgress();
    expect(begun).toHaveLength(3);
    for (const { land } of begun) land(authenticated());
    expect(await Promise.all(asked)).toMatchObject(asked.map(() => ({ kind: 'authenticated' })));
  });

  test('gets no stale answer after its deadline', async () => {
    const { begun, replica } = createWaitingReplica();
    const first = ask(replica);
    await untilInProgress();
    begun[0]?.land(authenticated());
    await first.ended;
    replica.clocks.pass(lifetimes.authenticatedTtl);
    const late = ask(replica);
    await untilInProgress();
    late.leave('too late');
    expect([await late.ended, begun[1]?.signal.aborted]).toEqual(['too late', true]);
    await untilInProgress();
    expect(replica.looks).not.toContain('memory stale');
  });

  test('does not join a lookup from before a revocation that was known when it came', async () => {
    const { begun, replica } = createWaitingReplica();
    const before = ask(replica);
    await untilInProgress();
    replica.revocations.revision = 1;
    replica.revocations.revoked.set('jane', 1);
    const after = ask(replica);
    await untilInProgress();
    expect(begun).toHaveLength(2);
    begun[1]?.land(rejected);
    expect(await after.ended).toBe('rejected');
    // The older answer arrives last, and replaces nothing.
    begun[0]?.land(authenticated());
    expect(await before.ended).toBe('authenticated');
    expect(await replica.outcome()).toBe('memory: rejected');
  });
});
