import { getEventListeners } from 'node:events';
import {
  type AuthenticateContext,
  type Authenticator,
  AuthenticatorError,
  type Decision,
} from '@sallyport/authenticator';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createKnownGoodTokens, type KnownGoodTokens } from './admission.ts';
import { type GuardSettings, withGuard } from './guard.ts';

const jane: Decision = { kind: 'authenticated', user: { username: 'jane' } };

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

type Plugin = (context: AuthenticateContext, token: string) => Decision | Promise<Decision>;

function createGuardedPlugin(
  answer: Plugin,
  settings: Partial<GuardSettings> = {},
  claimedName?: Authenticator['claimedName'],
  knownGood?: KnownGoodTokens,
) {
  const calls: { token: string; signal: AbortSignal }[] = [];
  const abandoned: Promise<unknown>[] = [];
  const plugin: Authenticator = {
    authenticate: (token, context) => {
      calls.push({ token, signal: context.signal });
      return answer(context, token) as Promise<Decision>;
    },
    ...(claimedName && { claimedName }),
    close: async () => {},
  };
  const guard = withGuard(
    plugin,
    {
      timeout: 3000,
      maxConcurrent: 100,
      maxWaiting: 0,
      circuit: { minimumCalls: 5, openFor: 5000 },
      ...settings,
    },
    { now: () => Date.now(), onAbandoned: (work) => abandoned.push(work), knownGood },
  );
  /** The decision's kind, or the error's code and message; undefined while there is none. */
  const ask = (caller: AbortSignal = new AbortController().signal, token = 't') => {
    const result: { outcome?: string } = {};
    const end = (outcome: string) => Object.assign(result, { outcome });
    Promise.resolve(guard.authenticate(token, { audiences: [], signal: caller })).then(
      (decision) => end(decision.kind),
      (error: unknown) =>
        end(AuthenticatorError.is(error) ? `${error.code}: ${error.message}` : String(error)),
    );
    return result;
  };
  const askNow = async (caller?: AbortSignal, token?: string) => {
    const result = ask(caller, token);
    await settle();
    return result.outcome;
  };
  return { guard, calls, abandoned, ask, askNow };
}

const settle = () => vi.advanceTimersByTimeAsync(0);
const hang = () => new Promise<Decision>(() => {});
const untilAborted = ({ signal }: AuthenticateContext) =>
  new Promise<Decision>((_resolve, reject) =>
    signal.addEventListener('abort', () => reject(signal.reason)),
  );
const down = () => Promise.reject(new AuthenticatorError('unavailable', 'down'));
const badRecord = () => Promise.reject(new AuthenticatorError('failed', 'bad record'));
const throwing = () => {
  throw new AuthenticatorError('unavailable', 'immediately');
};
const late = 'unavailable: no answer within 3s';
const gone = 'unavailable: the review ended before the answer';

describe('the deadline', () => {
  test.each([
    { timeout: 3000, expected: late },
    { timeout: 250, expected: 'unavailable: no answer within 250ms' },
  ])(
    'of $timeout ms ends the wait and aborts the signal, at its millisecond',
    async ({ timeout, expected }) => {
      const { ask, calls, abandoned } = createGuardedPlugin(hang, { timeout });
      const { signal } = new AbortController();
      const result = ask(signal);
      await vi.advanceTimersByTimeAsync(timeout - 1);
      expect([result.outcome, calls[0]?.signal.aborted]).toEqual([undefined, false]);
      await vi.advanceTimersByTimeAsync(1);
      expect([result.outcome, calls[0]?.signal.aborted]).toEqual([expected, true]);
      expect([abandoned.length, getEventListeners(signal, 'abort').length]).toEqual([1, 0]);
    },
  );

  test.each<{ case: string; answer: Plugin }>([
    { case: 'an answer', answer: async () => jane },
    { case: 'an answer that is no promise', answer: () => jane },
    { case: 'a failure', answer: down },
    { case: 'a synchronous throw', answer: throwing },
  ])('leaves no listener and no abort behind $case', async ({ answer }) => {
    const { askNow, calls, abandoned } = createGuardedPlugin(answer);
    const caller = new AbortController();
    await askNow(caller.signal);
    expect(getEventListeners(caller.signal, 'abort')).toHaveLength(0);
    caller.abort();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(calls[0]?.signal.aborted).toBe(false);
    expect(abandoned).toHaveLength(0);
  });
});

test('calls that fail at the same moment let none of those that wait go out: the circuit opens first', async () => {
  const lost = Promise.withResolvers<Decision>();
  const { ask, calls } = createGuardedPlugin(() => lost.promise, {
    maxConcurrent: 10,
    maxWaiting: 20,
  });
  const asked = Array.from({ length: 30 }, () => ask());
  await settle();
  const sent = calls.length;
  expect(sent).toBeGreaterThan(5);
  lost.reject(new AuthenticatorError('unavailable', 'connection lost'));
  await settle();
  expect(calls).toHaveLength(sent);
  const outcomes = asked.map(({ outcome }) => outcome);
  expect(outcomes.filter((one) => one === 'unavailable: connection lost')).toHaveLength(sent);
  expect(
    outcomes.filter((one) => one === 'unavailable: circuit open, next call in 5s'),
  ).not.toHaveLength(0);
});

describe('a deadline that passes after the backend has answered', () => {
  const lateItself: Plugin = (context) => {
    context.backendAnswered?.();
    return hang();
  };

  test('is a matter of this token, and opens no circuit', async () => {
    const { ask, guard } = createGuardedPlugin(lateItself, {
      circuit: { minimumCalls: 1, openFor: 5000 },
    });
    for (let call = 0; call < 10; call++) {
      const result = ask();
      await vi.advanceTimersByTimeAsync(3000);
      expect(result.outcome).toBe(
        'failed: the backend answers, but this lookup did not end within 3s',
      );
    }
    expect(guard.circuitState).toBe('closed');
  });

  test('closes the circuit when it was the probe', async () => {
    const { ask, askNow, guard } = createGuardedPlugin(
      (context, token) => (token === 'down' ? down() : lateItself(context, token)),
      {
        circuit: { minimumCalls: 1, openFor: 5000 },
      },
    );
    await askNow(undefined, 'down');
    await vi.advanceTimersByTimeAsync(5000);
    ask();
    await vi.advanceTimersByTimeAsync(3000);
    expect(guard.circuitState).toBe('closed');
  });
});

describe("the caller's abort", () => {
  test('ends the wait and aborts the signal', async () => {
    const { ask, calls, abandoned } = createGuardedPlugin(hang);
    const caller = new AbortController();
    const result = ask(caller.signal);
    caller.abort();
    await settle();
    expect([result.outcome, calls[0]?.signal.aborted, abandoned.length]).toEqual([gone, true, 1]);
    expect(getEventListeners(caller.signal, 'abort')).toHaveLength(0);
  });

  test('before the call makes none', async () => {
    const { askNow, calls } = createGuardedPlugin(async () => jane);
    expect(await askNow(AbortSignal.abort())).toBe(gone);
    expect(calls).toHaveLength(0);
  });

  test('by the plugin itself, before it returns, is seen too', async () => {
    const caller = new AbortController();
    const { askNow } = createGuardedPlugin(() => {
      caller.abort();
      return hang();
    });
    expect(await askNow(caller.signal)).toBe(gone);
  });

  test('never opens the circuit, though the plugin then throws, and is no answer that keeps it closed', async () => {
    const { ask, askNow, guard } = createGuardedPlugin((context, token) =>
      token === 'lost' ? down() : untilAborted(context),
    );
    for (let call = 0; call < 20; call++) {
      const caller = new AbortController();
      ask(caller.signal);
      caller.abort();
      await settle();
    }
    expect(guard.circuitState).toBe('closed');
    for (let call = 0; call < 5; call++) await askNow(undefined, 'lost');
    expect(guard.circuitState).toBe('open');
  });
});

describe('the bound on calls in progress', () => {
  test('refuses immediately, for this token alone, and is no outage', async () => {
    const { ask, askNow, guard } = createGuardedPlugin(hang, {
      maxConcurrent: 2,
      circuit: { minimumCalls: 1, openFor: 5000 },
    });
    ask();
    ask();
    for (let call = 0; call < 10; call++) {
      expect(await askNow()).toBe('failed: too many lookups in progress (maxConcurrent 2)');
    }
    expect(guard.circuitState).toBe('closed');
  });

  test('counts a call until the plugin itself has ended, past its deadline and past its caller', async () => {
    const ends: (() => void)[] = [];
    const { ask, askNow, abandoned } = createGuardedPlugin(
      () => new Promise((resolve) => ends.push(() => resolve(jane))),
      {
        maxConcurrent: 2,
      },
    );
    const caller = new AbortController();
    ask(caller.signal);
    ask();
    caller.abort();
    await vi.advanceTimersByTimeAsync(3000);
    expect(await askNow()).toMatch('too many');
    const ended = vi.fn();
    for (const work of abandoned) void work.then(ended);
    await settle();
    expect([abandoned.length, ended.mock.calls.length]).toEqual([2, 0]);
    ends[0]?.();
    await settle();
    expect(ended).toHaveBeenCalledTimes(1);
    expect(ask().outcome).toBeUndefined();
    expect(await askNow()).toMatch('too many');
  });

  test('gives the slot back after each kind of end', async () => {
    const answers: Plugin[] = [
      async () => jane,
      badRecord,
      () => jane,
      throwing,
      untilAborted,
      async () => jane,
    ];
    const { ask, askNow } = createGuardedPlugin(
      (context, token) => (answers[Number(token)] ?? hang)(context, token),
      {
        maxConcurrent: 1,
      },
    );
    const outcomes: unknown[] = [];
    for (const token of ['0', '1', '2', '3']) outcomes.push(await askNow(undefined, token));
    const aborted = ask(undefined, '4');
    await vi.advanceTimersByTimeAsync(3000);
    outcomes.push(aborted.outcome, await askNow(undefined, '5'));
    const good = 'authenticated';
    expect(outcomes).toEqual([
      good,
      'failed: bad record',
      good,
      'unavailable: immediately',
      late,
      good,
    ]);
  });

  test('reports abandoned work that fails later without an unhandled rejection', async () => {
    const { ask, abandoned } = createGuardedPlugin(untilAborted);
    ask();
    await vi.advanceTimersByTimeAsync(3000);
    await expect(abandoned[0]).resolves.toBeUndefined();
  });
});

describe('more calls than may be in progress', () => {
  /** A plugin that answers when the test says so, in the order of the calls. */
  const busyGuard = (settings: Partial<GuardSettings>) => {
    const ends: ((decision: Decision | Promise<Decision>) => void)[] = [];
    const parts = createGuardedPlugin(
      () => new Promise<Decision>((resolve) => ends.push(resolve)),
      settings,
    );
    const endFirst = async (decision: Decision | Promise<Decision> = jane) => {
      ends.shift()?.(decision);
      await settle();
    };
    return { ...parts, endFirst };
  };

  test('wait in the order in which they came, as many as may, and as long as a call may take', async () => {
    const { ask, askNow, calls, endFirst } = busyGuard({ maxConcurrent: 1, maxWaiting: 2 });
    const results = [ask(undefined, 'a'), ask(undefined, 'b'), ask(undefined, 'c')];
    await settle();
    expect(await askNow(undefined, 'd')).toBe(
      'failed: too many lookups in progress (maxConcurrent 1)',
    );
    await endFirst();
    await vi.advanceTimersByTimeAsync(2999);
    expect(results.map(({ outcome }) => outcome)).toEqual(['authenticated', undefined, undefined]);
    await vi.advanceTimersByTimeAsync(1);
    expect(results.map(({ outcome }) => outcome)).toEqual([
      'authenticated',
      late,
      'failed: too many lookups in progress (maxConcurrent 1)',
    ]);
    expect(calls).toHaveLength(2);
  });

  test('leave the queue with their caller', async () => {
    const { ask, calls, endFirst } = busyGuard({ maxConcurrent: 1, maxWaiting: 1 });
    const caller = new AbortController();
    ask();
    await settle();
    const waiting = ask(caller.signal);
    await settle();
    caller.abort();
    await settle();
    expect([waiting.outcome, getEventListeners(caller.signal, 'abort').length]).toEqual([gone, 0]);
    await endFirst();
    expect(calls).toHaveLength(1);
  });

  test('see that the circuit has opened since, and hand their slot on', async () => {
    const { ask, endFirst, calls } = busyGuard({
      maxConcurrent: 1,
      maxWaiting: 2,
      circuit: { minimumCalls: 1, openFor: 5000 },
    });
    const results = [ask(), ask(), ask()];
    await settle();
    await endFirst(down());
    expect(results.map(({ outcome }) => outcome)).toEqual([
      'unavailable: down',
      'unavailable: circuit open, next call in 5s',
      'unavailable: circuit open, next call in 5s',
    ]);
    expect(calls).toHaveLength(1);
  });

  test('never keep out a token that was good before: a quarter of the slots is for these', async () => {
    const { ask, askNow, calls, endFirst } = busyGuard({ maxConcurrent: 4, maxWaiting: 100 });
    ask(undefined, 'good');
    await settle();
    await endFirst();
    for (let call = 0; call < 50; call++) ask(undefined, `forged ${call}`);
    await settle();
    expect(calls).toHaveLength(1 + 3);
    await askNow(undefined, 'good');
    expect(calls).toHaveLength(1 + 4);
    // Beyond its quarter it waits, and no later call overtakes it.
    await askNow(undefined, 'good');
    expect(calls).toHaveLength(1 + 4);
    await endFirst();
    expect(calls.map(({ token }) => token).filter((token) => token === 'good')).toHaveLength(1 + 2);
    expect(calls).toHaveLength(1 + 5);
  });
});

test('users who are looked up for the first time leave the last quarter of the slots to those let in before', async () => {
  const { guard, askNow } = createGuardedPlugin(async () => jane, { maxConcurrent: 8 });
  const { signal } = new AbortController();
  const lookUp = (name: string | undefined, ask: () => Promise<Decision>) =>
    guard.askWithin({ audiences: [], signal }, ask, name).then(
      ({ kind }) => kind,
      ({ message }) => message,
    );
  const found = async () => jane;
  expect(await askNow(undefined, 'good')).toBe('authenticated');
  expect(await lookUp('known', found)).toBe('authenticated');
  for (let number = 0; number < 6; number++) void lookUp(`new ${number}`, hang);
  const full = 'too many lookups in progress (maxConcurrent 8)';
  expect(await lookUp('new', found)).toBe(full);
  expect(await askNow(undefined, 'known')).toBe(`failed: ${full}`);
  expect(await askNow(undefined, 'good')).toBe('authenticated');
  expect(await lookUp('known', found)).toBe('authenticated');
  // The user of a session.
  expect(await lookUp(undefined, found)).toBe('authenticated');
});

describe('lookups of one name', () => {
  const tooMany = 'failed: more than 20 lookups of one name in a second';
  const named = (answer: Plugin, settings: Partial<GuardSettings> = {}) =>
    createGuardedPlugin(answer, { maxWaiting: 100, ...settings }, (token) => token.split(':')[0]);

  test('beyond 20 in a second reach no backend, hold no slot, and are answered a second later', async () => {
    const { ask, askNow, calls } = named(async () => jane, { maxConcurrent: 1 });
    for (let call = 0; call < 20; call++)
      expect(await askNow(undefined, `jane:${call}`)).toBe('authenticated');
    const over = [ask(undefined, 'jane:20'), ask(undefined, 'jane:21')];
    await settle();
    expect(await askNow(undefined, 'john:0')).toBe('authenticated');
    await vi.advanceTimersByTimeAsync(999);
    expect(over.map(({ outcome }) => outcome)).toEqual([undefined, undefined]);
    await vi.advanceTimersByTimeAsync(1);
    expect(over.map(({ outcome }) => outcome)).toEqual([tooMany, tooMany]);
    expect(calls).toHaveLength(21);
    expect(await askNow(undefined, 'jane:22')).toBe('authenticated');
  });

  test('that were good before are counted separately: others who know the name keep no one out', async () => {
    const { ask, askNow } = named(async (_context, token) =>
      token === 'jane:right' ? jane : { kind: 'rejected', reason: 'invalid-credentials' },
    );
    expect(await askNow(undefined, 'jane:right')).toBe('authenticated');
    for (let call = 0; call < 50; call++) ask(undefined, `jane:${call}`);
    expect(await askNow(undefined, 'jane:right')).toBe('authenticated');
  });

  test('that were good before a reload are known after it, as long as the options stay', async () => {
    const answer: Plugin = async () => jane;
    const knownGood = createKnownGoodTokens();
    const start = (fingerprint: string) =>
      createGuardedPlugin(
        answer,
        { maxWaiting: 100 },
        (token) => token.split(':')[0],
        knownGood(fingerprint),
      );
    expect(await start('a').askNow(undefined, 'jane:right')).toBe('authenticated');
    for (const [fingerprint, outcome] of [
      ['a', 'authenticated'],
      ['b', undefined],
    ] as const) {
      const { ask, askNow } = start(fingerprint);
      for (let call = 0; call < 20; call++) ask(undefined, `jane:${call}`);
      expect(await askNow(undefined, 'jane:right')).toBe(outcome);
      await vi.advanceTimersByTimeAsync(1_000);
    }
  });

  test('without a token are limited too, and leave the logins of that name their own count', async () => {
    const { guard, askNow } = named(async () => jane);
    const { signal } = new AbortController();
    let asked = 0;
    const lookUp = (name?: string) =>
      guard
        .askWithin(
          { audiences: [], signal },
          () => {
            asked++;
            return badRecord();
          },
          name,
        )
        .catch(({ code, message }) => `${code}: ${message}`);
    for (let call = 0; call < 20; call++) expect(await lookUp('jane')).toBe('failed: bad record');
    const over = lookUp('jane');
    expect(await lookUp('john')).toBe('failed: bad record');
    expect(await askNow(undefined, 'jane:right')).toBe('authenticated');
    expect(await askNow(undefined, 'jane:right')).toBe('authenticated');
    await vi.advanceTimersByTimeAsync(1_000);
    expect([await over, asked]).toEqual([tooMany, 21]);
    for (let call = 0; call < 21; call++) expect(await lookUp()).toBe('failed: bad record');
  });

  test('are answered immediately when very many wait already, and end with their caller', async () => {
    const { ask, askNow } = named(async () => jane, { maxWaiting: 1 });
    for (let call = 0; call < 20; call++) await askNow(undefined, `jane:${call}`);
    const caller = new AbortController();
    const delayed = ask(caller.signal, 'jane:20');
    await settle();
    expect(await askNow(undefined, 'jane:21')).toBe(tooMany);
    caller.abort();
    await settle();
    expect(delayed.outcome).toBe(gone);
  });
});

describe('the circuit', () => {
  test.each<{ case: string; answer: Plugin }>([
    { case: 'unavailable', answer: down },
    { case: 'any other error', answer: () => Promise.reject(new TypeError('bug')) },
    { case: 'a throw of no error', answer: () => Promise.reject('x') },
    { case: 'a synchronous throw', answer: throwing },
  ])('takes $case for an outage', async ({ answer }) => {
    const { askNow, guard } = createGuardedPlugin(answer);
    for (let call = 0; call < 4; call++) await askNow();
    expect(guard.circuitState).toBe('closed');
    await askNow();
    expect(guard.circuitState).toBe('open');
  });

  test('is never opened by one bad user or record', async () => {
    const { askNow, guard, calls } = createGuardedPlugin((_context, token) =>
      token === 'bad' ? badRecord() : jane,
    );
    for (let call = 0; call < 50; call++)
      expect(await askNow(undefined, 'bad')).toBe('failed: bad record');
    expect(await askNow()).toBe('authenticated');
    expect([guard.circuitState, calls.length]).toEqual(['closed', 51]);
  });

  const opened = async (answer: () => Plugin) => {
    let broken = true;
    const parts = createGuardedPlugin((context, token) =>
      broken ? down() : answer()(context, token),
    );
    for (let call = 0; call < 5; call++) await parts.askNow();
    broken = false;
    await vi.advanceTimersByTimeAsync(5000);
    return parts;
  };

  test('closes when the probe is answered, with a failure of one token too', async () => {
    for (const answer of [async () => jane, badRecord]) {
      const { askNow, guard } = await opened(() => answer);
      expect(guard.circuitState).toBe('half-open');
      await askNow();
      expect(guard.circuitState).toBe('closed');
    }
  });

  test('makes no one wait for the probe, and opens again when that is late', async () => {
    const { ask, askNow, guard, calls } = await opened(() => hang);
    const probe = ask();
    expect(await askNow()).toMatch('unavailable: circuit half-open');
    await vi.advanceTimersByTimeAsync(3000);
    expect([probe.outcome, guard.circuitState, calls.length]).toEqual([late, 'open', 6]);
  });

  test("does not let the probe's caller decide: his wait ends, the probe goes on", async () => {
    let answer: (decision: Decision) => void = () => {};
    const { ask, guard, calls, abandoned } = await opened(
      () => () => new Promise((resolve) => (answer = resolve)),
    );
    const caller = new AbortController();
    const result = ask(caller.signal);
    caller.abort();
    await settle();
    expect([result.outcome, guard.circuitState, calls[5]?.signal.aborted]).toEqual([
      gone,
      'half-open',
      false,
    ]);
    expect(abandoned).toHaveLength(1);
    answer(jane);
    await settle();
    expect([guard.circuitState, abandoned.length]).toEqual(['closed', 1]);
  });

  test('opens at the deadline of a probe that no one waits for, which is reported once', async () => {
    const { ask, guard, abandoned } = await opened(() => untilAborted);
    const caller = new AbortController();
    ask(caller.signal);
    caller.abort();
    await vi.advanceTimersByTimeAsync(3000);
    expect([guard.circuitState, abandoned.length]).toEqual(['open', 1]);
  });

  test('lets a probe out later when all slots were taken by calls that never ended', async () => {
    const ends: (() => void)[] = [];
    const hung = () => new Promise<Decision>((resolve) => ends.push(() => resolve(jane)));
    const { ask, askNow, guard } = createGuardedPlugin(hung, {
      maxConcurrent: 3,
      circuit: { minimumCalls: 3, openFor: 5000 },
    });
    for (let call = 0; call < 3; call++) ask();
    await vi.advanceTimersByTimeAsync(8000);
    expect(guard.circuitState).toBe('half-open');
    expect(await askNow()).toMatch('failed: too many');
    ends[0]?.();
    await settle();
    const probe = ask();
    await settle();
    ends[3]?.();
    await settle();
    expect([probe.outcome, guard.circuitState]).toEqual(['authenticated', 'closed']);
  });
});
