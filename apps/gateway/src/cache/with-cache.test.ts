import { describe, expect, test } from 'vitest';
import { createReplica, lifetimes, minute, noOpinion, rejected, yes } from './testing/cached-replica.ts';

const { authenticatedTtl, rejectedTtl, unknownTtl, staleTtl } = lifetimes;
const down = async () => {
  throw new Error('down');
};

describe('an answer is kept', () => {
  test.each([
    ['a yes', yes(), authenticatedTtl, 'jane'],
    ['a rejection', rejected, rejectedTtl, 'rejected'],
    ['no opinion', noOpinion, unknownTtl, 'no-opinion'],
  ])('for its own time: %s', async (_, decision, lifetime, told) => {
    const replica = createReplica({ answer: () => decision });
    expect(await replica.tell()).toBe(`backend: ${told}`);
    replica.clocks.pass(lifetime - 1);
    expect(await replica.tell()).toBe(`memory: ${told}`);
    replica.clocks.pass(1);
    expect(await replica.tell()).toBe(`backend: ${told}`);
    expect(replica.asked).toBe(2);
    expect(replica.looks).toEqual(['memory miss', 'memory hit', 'memory miss']);
  });

  test('counted from when the backend gave it, however often it is used', async () => {
    const replica = createReplica();
    replica.answer = async () => {
      replica.clocks.pass(2 * minute);
      return yes();
    };
    await replica.ask();
    for (let count = 0; count < 4; count += 1) {
      replica.clocks.pass(minute);
      expect(await replica.tell()).toBe('memory: jane');
    }
    replica.clocks.pass(minute);
    expect(await replica.tell()).toBe('backend: jane');
  });

  test('to the end of its token, stale neither', async () => {
    const replica = createReplica();
    replica.answer = () => yes('jane', { expiresAt: new Date(replica.clocks.wall() + minute) });
    await replica.ask();
    replica.answer = down;
    replica.clocks.pass(minute - 1);
    expect(await replica.tell()).toBe('memory: jane');
    replica.clocks.pass(1);
    await expect(replica.ask()).rejects.toThrow('down');
  });

  test('for the same token, audiences and config only', async () => {
    const replica = createReplica({ answer: (token, audiences) => yes(`${token} ${audiences}`) });
    const other = createReplica({ memory: replica.memory, settings: { fingerprint: 'two' }, answer: () => yes('two') });
    const third = createReplica({ memory: replica.memory, answer: () => yes('one, too') });
    await replica.ask('a', ['x', 'y']);
    expect(await replica.tell('a', ['y', 'x', 'x'])).toBe('memory: a x,y');
    expect(await replica.tell('a', ['x'])).toBe('backend: a x');
    expect(await replica.tell('a')).toBe('backend: a ');
    expect(await replica.tell('b', ['x', 'y'])).toBe('backend: b x,y');
    expect(await other.tell('a', ['x', 'y'])).toBe('backend: two');
    expect(await third.tell('a', ['x', 'y'])).toBe('memory: a x,y');
  });

  test('never of an error', async () => {
    const replica = createReplica({ answer: down });
    for (const asked of [1, 2, 3]) {
      await expect(replica.ask()).rejects.toThrow('down');
      expect(replica.asked).toBe(asked);
    }
    replica.answer = () => yes();
    expect(await replica.tell()).toBe('backend: jane');
  });
});

describe('while the backend can not be asked', () => {
  test('its last yes stands in its place, and no longer than lifetime and staleTtl from when it was given', async () => {
    const replica = createReplica();
    await replica.ask();
    replica.answer = down;
    replica.clocks.pass(authenticatedTtl);
    const { source, failure } = await replica.ask();
    expect([source, failure]).toEqual(['stale', new Error('down')]);
    // To use it makes it no younger.
    for (const time of [10 * minute, staleTtl - 10 * minute - 1]) {
      replica.clocks.pass(time);
      expect(await replica.tell()).toBe('stale: jane');
    }
    replica.clocks.pass(1);
    await expect(replica.ask()).rejects.toThrow('down');
    expect(replica.looks.filter((look) => look.endsWith('stale'))).toHaveLength(3);
  });

  test.each([rejected, noOpinion])('no yes stands that a later answer took back: $kind', async (later) => {
    const replica = createReplica();
    await replica.ask();
    replica.clocks.pass(authenticatedTtl);
    replica.answer = () => later;
    expect(await replica.tell()).toBe(`backend: ${later.kind}`);
    replica.answer = down;
    replica.clocks.pass(rejectedTtl);
    await expect(replica.ask()).rejects.toThrow('down');
  });

  test('neither a no stands in, nor the yes of another question', async () => {
    const replica = createReplica({ answer: (token) => (token === 'good' ? yes() : rejected) });
    for (const token of ['good', 'bad']) await replica.ask(token);
    replica.answer = down;
    replica.clocks.pass(authenticatedTtl);
    for (const [token, audiences] of [['bad'], ['good', ['x']], ['other']] as const) {
      await expect(replica.ask(token, audiences)).rejects.toThrow('down');
    }
    const other = createReplica({ memory: replica.memory, settings: { fingerprint: 'two' }, answer: down });
    await expect(other.ask('good')).rejects.toThrow('down');
    expect(await replica.tell('good')).toBe('stale: jane');
  });

  test('nothing stands in where staleTtl is 0', async () => {
    const replica = createReplica({ settings: { staleTtl: 0 } });
    await replica.ask();
    replica.answer = down;
    replica.clocks.pass(authenticatedTtl);
    await expect(replica.ask()).rejects.toThrow('down');
  });

  test('a yes that was revoked does not stand in', async () => {
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
  test.each(['corp:jane', 'token'])('is not used from then on, by name or by token: %s', async (name) => {
    const replica = createReplica({ settings: { usernamePrefix: 'corp:' } });
    await replica.ask();
    replica.revocations.revision = 1;
    replica.revocations.revoked.set('jane', 1);
    expect(await replica.tell()).toBe('memory: jane');
    replica.revocations.revoked.set(name, 1);
    expect(await replica.tell()).toBe('backend: jane');
    // That one was asked for knowing of it.
    expect(await replica.tell()).toBe('memory: jane');
  });

  test('during its lookup is answered and not stored', async () => {
    const replica = createReplica();
    replica.answer = () => {
      replica.revocations.revision = 1;
      replica.revocations.revoked.set('jane', 1);
      return yes();
    };
    expect(await replica.tell()).toBe('backend: jane');
    expect(replica.memory.entries).toBe(0);
    replica.answer = () => rejected;
    expect(await replica.tell()).toBe('backend: rejected');
  });

  test('is no matter for others', async () => {
    const replica = createReplica({ answer: (token) => yes(token) });
    for (const token of ['jane', 'joan']) await replica.ask(token);
    replica.revocations.revision = 1;
    replica.revocations.revoked.set('jane', 1);
    expect([await replica.tell('jane'), await replica.tell('joan')]).toEqual(['backend: jane', 'memory: joan']);
  });
});

describe('cut off from the revocation list', () => {
  test('a cached yes is believed for 10 s, and stale all the same when the backend is down too', async () => {
    const replica = createReplica();
    await replica.ask();
    replica.revocations.isCutOff = true;
    replica.clocks.pass(9_999);
    expect(await replica.tell()).toBe('memory: jane');
    replica.clocks.pass(1);
    replica.answer = down;
    expect(await replica.tell()).toBe('stale: jane');
    replica.answer = () => yes('joan');
    expect(await replica.tell()).toBe('backend: joan');
    replica.clocks.pass(10_000);
    replica.revocations.isCutOff = false;
    expect(await replica.tell()).toBe('memory: joan');
  });

  test('a shorter lifetime stays as short', async () => {
    const replica = createReplica({ settings: { authenticatedTtl: 5_000 } });
    await replica.ask();
    replica.revocations.isCutOff = true;
    replica.clocks.pass(5_000);
    expect(await replica.tell()).toBe('backend: jane');
  });
});
