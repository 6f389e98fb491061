import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ada, down, failed, hang, isAda, noOpinion, startChain } from './testing/chain.ts';
import { review } from './testing/clients.ts';
import { scrape } from './testing/scrape.ts';
import type { Answer } from './testing/script-messages.ts';
import type { ScriptedBackend } from './testing/scripted-backend.ts';
import { reviewBody } from './testing/token-review.ts';

let shared: Awaited<ReturnType<typeof startChain>>;
beforeAll(async () => {
  // The authenticator of each test recognises its tokens alone.
  const entry = (backend: ScriptedBackend, name: string, settings: object = {}) =>
    backend.authenticator(name, settings, { recognizes: `${name}-` });
  shared = await startChain((backend) => [
    entry(backend, 'hung', { timeout: '100ms', circuit: { openFor: '1h' } }),
    entry(backend, 'down', { circuit: { minimumCalls: 1, openFor: '100ms' } }),
    entry(backend, 'failed'),
    entry(backend, 'left'),
    entry(backend, 'full', { maxConcurrent: 2 }),
  ]);
});
afterAll(() => shared[Symbol.asyncDispose]());

/** A token of one of the authenticators that tests share. */
const tokenOf = (name: string, answer: Answer) => shared.token({ [name]: answer }, `${name}-`);
const unavailableAt = (name: string) => ({ authenticated: false, error: `authenticator ${name} unavailable` });

describe.concurrent('bounds on authenticators', () => {
  test('a hung authenticator costs five deadlines, then nothing', async () => {
    const tokens = Array.from({ length: 25 }, (_, call) => tokenOf('hung', call < 5 ? hang : ada));
    for (const token of tokens) expect(await review(shared.client, token)).toEqual(unavailableAt('hung'));
    const calls = tokens.flatMap((token) => shared.backend.callsOf(token));
    expect(calls).toHaveLength(5);
    expect(calls.every((call) => call.aborted)).toBe(true);
  });

  test('an authenticator that was down is tried again after openFor', async () => {
    expect(await review(shared.client, tokenOf('down', down))).toEqual(unavailableAt('down'));
    await waitFor(
      async () => (await review(shared.client, tokenOf('down', ada))).authenticated,
      'the token to be accepted',
    );
    expect(await review(shared.client, tokenOf('down', ada))).toEqual(isAda);
  });

  test('bad records never open the circuit for the others', async () => {
    for (let call = 0; call < 30; call++) await review(shared.client, tokenOf('failed', failed));
    expect(await review(shared.client, tokenOf('failed', ada))).toEqual(isAda);
  });

  test('callers that hang up never open the circuit', async () => {
    for (let call = 0; call < 10; call++) {
      const token = tokenOf('left', hang);
      const caller = new AbortController();
      const answer = shared.client.send({ body: reviewBody(token), signal: caller.signal }).catch(() => 'gone');
      await shared.backend.whenAsked(token);
      caller.abort();
      expect(await answer).toBe('gone');
    }
    expect(await review(shared.client, tokenOf('left', ada))).toEqual(isAda);
  });

  test('beyond maxConcurrent a token waits for its turn', async () => {
    const waiting = [tokenOf('full', hang), tokenOf('full', hang)];
    const answers = waiting.map((token) => review(shared.client, token));
    const [first, second] = await Promise.all(waiting.map((token) => shared.backend.whenAsked(token)));
    const third = review(shared.client, tokenOf('full', ada));
    first?.settle(ada);
    expect(await third).toEqual(isAda);
    second?.settle(ada);
    expect(await Promise.all(answers)).toEqual([isAda, isAda]);
  });

  test('a hung authenticator at full load never keeps the ones before it from answering', async () => {
    const entries = (backend: ScriptedBackend): object[] => [
      backend.authenticator('robots'),
      backend.authenticator('corp', { timeout: '9s' }, { ignoresAbort: true }),
    ];
    await using chain = await startChain(entries, { maxInFlight: 20 });
    const statuses: number[] = [];
    const flood = Array.from({ length: 200 }, async () => {
      const response = await chain.client.send({ body: reviewBody(chain.token({ corp: hang })) });
      statuses.push(response.status);
    });
    const ended = Promise.allSettled(flood);
    const hung = (): number => chain.backend.calls.filter((call) => call.authenticator === 'corp').length;
    // A quarter of its six slots is for tokens that were good before.
    await waitFor(() => hung() === 5, 'five hung lookups');
    // Only then is the burst over: as long as it lasts, robots too may be asked by maxConcurrent others.
    // Three more may wait.
    await waitFor(() => statuses.length >= 200 - 5 - 3, 'the answers to the others');
    for (let call = 0; call < 50; call++) {
      expect(await review(chain.client, chain.token({ robots: ada }))).toEqual(isAda);
    }
    for (const call of chain.backend.calls) {
      call.settle(noOpinion);
    }
    expect((await ended).every((answer) => answer.status === 'fulfilled')).toBe(true);
    expect([200, 429]).toEqual(expect.arrayContaining([...new Set(statuses)]));
  });

  test('reviewTimeout ends a chain of authenticators that are slow together', async () => {
    const entries = (backend: ScriptedBackend): object[] =>
      ['a', 'b', 'c', 'd'].map((name) => backend.authenticator(name, { timeout: '600ms' }));
    await using chain = await startChain(entries, { reviewTimeout: '1s' });
    const token = chain.token({ a: hang, b: hang, c: hang, d: hang });
    expect(await review(chain.client, token)).toEqual({
      authenticated: false,
      error: 'authenticators a, b unavailable',
    });
    expect(chain.backend.callsOf(token).map((call) => call.authenticator)).toEqual(['a', 'b']);
  });

  test('beyond maxConcurrent, and with no place to wait, a token could not be checked, which is no outage', async () => {
    const entries = (backend: ScriptedBackend) => [backend.authenticator('corp', { maxConcurrent: 2, timeout: '9s' })];
    await using chain = await startChain(entries, { maxInFlight: 3 });
    const waiting = [chain.token({ corp: hang }), chain.token({ corp: hang })];
    const answers = waiting.map((token) => review(chain.client, token));
    const calls = await Promise.all(waiting.map((token) => chain.backend.whenAsked(token)));
    // Twice as many as open a circuit.
    for (let call = 0; call < 10; call++) {
      const status = await review(chain.client, chain.token({ corp: ada }));
      expect(status).toEqual(unavailableAt('corp'));
    }
    for (const call of calls) {
      call.settle(ada);
    }
    expect(await Promise.all(answers)).toEqual([isAda, isAda]);
    expect(await review(chain.client, chain.token({ corp: ada }))).toEqual(isAda);
  });

  test('work that ignores its abort keeps its place in maxInFlight until it has ended', async () => {
    const entries = (backend: ScriptedBackend): object[] =>
      ['a', 'b'].map((name) =>
        backend.authenticator(name, { timeout: '1s', maxConcurrent: 1 }, { ignoresAbort: true }),
      );
    await using chain = await startChain(entries, { maxInFlight: 3 });
    const unchecked = [chain.token({ a: hang }), chain.token({ b: hang })];
    for (const token of unchecked) {
      expect(await review(chain.client, token)).toHaveProperty('error');
    }
    const taken = async () => (await scrape(chain.gateway)).value('sallyport_in_flight_token_reviews');
    expect(await taken()).toBe(2);
    const calls = unchecked.flatMap((token) => chain.backend.callsOf(token));
    const hung = calls.filter((call) => call.aborted);
    expect(hung).toHaveLength(2);
    for (const call of hung) {
      call.settle(noOpinion);
    }
    await waitFor(async () => (await taken()) === 0, 'the end of the hung work');
    expect(await review(chain.client, chain.token({ a: ada }))).toEqual(isAda);
  });
});
