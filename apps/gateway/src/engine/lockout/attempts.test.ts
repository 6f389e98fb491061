import type { AttemptOutcome } from '@sallyport/authenticator';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type AttemptsDependencies, createAttempts } from './attempts.ts';
import { abandonedAfter, createLocalGuard } from './local-guard.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const window = 600_000;
const now = () => Date.now();
const settle = () => vi.advanceTimersByTimeAsync(0);

function createGuard(
  settings = { maxFailures: 3, window },
  limits: Partial<AttemptsDependencies> = {},
) {
  const attemptsOf = createAttempts(() => settings, { now, ...limits });
  const attempts = attemptsOf('corp');
  /** `sent` when it was sent and its outcome was settled, else why it was not. */
  const send = async (
    subject: string,
    secret: string,
    outcome: AttemptOutcome,
    guard = attempts,
  ) => {
    const attempt = await guard.admit(subject, secret);
    if (!attempt.admitted) return attempt.reason;
    await attempt.settle(outcome);
    return 'sent';
  };
  /** Asks to send and leaves it in progress. */
  const begin = (subject: string, secret: string) => {
    const state: { admission?: string; settle: (outcome: AttemptOutcome) => Promise<void> } = {
      settle: async () => {},
    };
    attempts.admit(subject, secret).then(
      (attempt) => {
        state.admission = attempt.admitted ? 'admitted' : attempt.reason;
        if (attempt.admitted) state.settle = attempt.settle;
      },
      (error: Error) => {
        state.admission = error.message;
      },
    );
    return state;
  };
  return { attemptsOf, attempts, send, begin, settings };
}

describe('refused attempts', () => {
  test('throttle a subject at maxFailures, until the window of the first has passed', async () => {
    const { send } = createGuard();
    for (const secret of ['a', 'b', 'c']) {
      expect(await send('jane', secret, 'refused')).toBe('sent');
      vi.setSystemTime(now() + 1000);
    }
    expect(await send('jane', 'd', 'refused')).toBe('throttled');
    vi.setSystemTime(now() + window - 3001);
    expect(await send('jane', 'd', 'refused')).toBe('throttled');
    vi.setSystemTime(now() + 1);
    expect(await send('jane', 'd', 'refused')).toBe('sent');
    expect(await send('jane', 'e', 'refused')).toBe('throttled');
  });

  test('are not sent again, and the denial says when it was', async () => {
    const { send, attempts } = createGuard();
    const refusedAt = new Date(now());
    expect(await send('jane', 'a', 'refused')).toBe('sent');
    vi.setSystemTime(now() + 5000);
    expect(await attempts.admit('jane', 'a')).toEqual({
      admitted: false,
      reason: 'invalid-credentials',
      refusedAt,
    });
  });

  test('count for one subject of one authenticator', async () => {
    const { send, attemptsOf } = createGuard({ maxFailures: 1, window });
    await send('jane', 'a', 'refused');
    expect(await send('john', 'a', 'accepted')).toBe('sent');
    expect(await send('jane', 'a', 'accepted', attemptsOf('partners'))).toBe('sent');
    expect(await send('jane', 'b', 'accepted', attemptsOf('corp'))).toBe('throttled');
  });

  test('count from when they were refused, not from when they went out', async () => {
    const { begin, send } = createGuard({ maxFailures: 1, window: 1000 });
    const slow = begin('jane', 'a');
    await vi.advanceTimersByTimeAsync(900);
    await slow.settle('refused');
    vi.setSystemTime(now() + 999);
    expect(await send('jane', 'b', 'refused')).toBe('throttled');
    vi.setSystemTime(now() + 1);
    expect(await send('jane', 'b', 'refused')).toBe('sent');
  });

  test('are decided by the settings of the moment', async () => {
    const { send, settings } = createGuard();
    await send('jane', 'a', 'refused');
    settings.maxFailures = 1;
    expect(await send('jane', 'b', 'refused')).toBe('throttled');
    settings.window = 1000;
    vi.setSystemTime(now() + 1000);
    expect(await send('jane', 'b', 'refused')).toBe('sent');
  });
});

describe('other outcomes', () => {
  test('settle once: a second settle does nothing', async () => {
    const { attempts, send } = createGuard({ maxFailures: 1, window });
    const attempt = await attempts.admit('jane', 'a');
    if (!attempt.admitted) throw new Error('not admitted');
    await attempt.settle('unavailable');
    await attempt.settle('refused');
    expect(await send('jane', 'a', 'refused')).toBe('sent');
    await attempt.settle('accepted');
    expect(await send('jane', 'b', 'refused')).toBe('throttled');
  });
});

describe('attempts that were sent and not answered', () => {
  test('count like refused ones, but their secret may be sent again while a slot is free', async () => {
    const { send } = createGuard();
    for (const _ of [1, 2, 3]) expect(await send('jane', 'a', 'unanswered')).toBe('sent');
    for (const secret of ['a', 'b'])
      expect(await send('jane', secret, 'refused')).toBe('throttled');
    vi.setSystemTime(now() + window);
    expect(await send('jane', 'a', 'refused')).toBe('sent');
  });

  test.each([
    { name: 'is new', guesses: [] },
    { name: 'was right before, while guesses have taken all slots', guesses: ['b', 'c', 'd'] },
  ])('keep no right secret out once, though it $name', async ({ guesses }) => {
    const { send } = createGuard();
    if (guesses.length > 0) await send('jane', 'right', 'accepted');
    for (const guess of guesses) expect(await send('jane', guess, 'refused')).toBe('sent');
    expect(await send('jane', 'right', 'unanswered')).toBe('sent');
    expect(await send('jane', 'right', 'accepted')).toBe('sent');
  });

  test('give their slots back when their secret is found to be right', async () => {
    const { send } = createGuard();
    for (let flap = 0; flap < 4; flap++) {
      for (const _ of [1, 2]) expect(await send('jane', 'right', 'unanswered')).toBe('sent');
      expect(await send('jane', 'right', 'accepted')).toBe('sent');
    }
    for (const guess of ['b', 'c', 'd']) expect(await send('jane', guess, 'refused')).toBe('sent');
    expect(await send('jane', 'e', 'refused')).toBe('throttled');
  });

  test('three times, end it even for a secret that was right: it may have been changed', async () => {
    const { send } = createGuard({ maxFailures: 1, window });
    await send('jane', 'right', 'accepted');
    for (const _ of [1, 2, 3]) expect(await send('jane', 'right', 'unanswered')).toBe('sent');
    expect(await send('jane', 'right', 'refused')).toBe('throttled');
  });

  test('keep a secret that was right out for a minute at most, and let it be sent once a minute', async () => {
    const { send } = createGuard({ maxFailures: 1, window });
    await send('jane', 'right', 'accepted');
    for (const _ of [1, 2, 3]) await send('jane', 'right', 'unanswered');
    for (const _ of [1, 2]) {
      await vi.advanceTimersByTimeAsync(abandonedAfter - 1);
      expect(await send('jane', 'right', 'accepted')).toBe('throttled');
      await vi.advanceTimersByTimeAsync(1);
      expect(await send('jane', 'right', 'unanswered')).toBe('sent');
    }
    await vi.advanceTimersByTimeAsync(abandonedAfter);
    expect(await send('jane', 'right', 'accepted')).toBe('sent');
  });
});

describe('attempts in progress', () => {
  test('are waited for as long as the caller does', async () => {
    const { attempts, begin } = createGuard({ maxFailures: 1, window });
    const first = begin('jane', 'a');
    await settle();
    const caller = new AbortController();
    const waiting = attempts.admit('jane', 'b', caller.signal);
    const after = begin('jane', 'c');
    const gone = new Error('the caller has gone');
    caller.abort(gone);
    await expect(waiting).rejects.toBe(gone);
    await expect(attempts.admit('jane', 'd', caller.signal)).rejects.toBe(gone);
    await first.settle('unavailable');
    await settle();
    expect(after.admission).toBe('admitted');
  });

  test('are waited for 1 s, however often one of them ends', async () => {
    const { attempts, begin } = createGuard({ maxFailures: 1, window });
    const first = begin('jane', 'a');
    await settle();
    const [second, third] = ['b', 'c'].map((secret) =>
      attempts.admit('jane', secret).catch((error: unknown) => error),
    );
    await vi.advanceTimersByTimeAsync(600);
    await first.settle('unavailable');
    expect(await second).toMatchObject({ admitted: true });
    await vi.advanceTimersByTimeAsync(400);
    expect(await third).toMatchObject({
      code: 'failed',
      message: 'earlier logins of the same user take too long',
    });
  });

  test('are three of a name at most, and one more with a secret that was right', async () => {
    const { send, begin } = createGuard({ maxFailures: 20, window });
    for (const secret of ['right', 'right too']) await send('jane', secret, 'accepted');
    const guesses = ['a', 'b', 'c', 'd'].map((secret) => begin('jane', secret));
    await settle();
    expect(guesses.map((one) => one.admission)).toEqual([
      'admitted',
      'admitted',
      'admitted',
      undefined,
    ]);
    const right = [begin('jane', 'right'), begin('jane', 'right too')];
    await settle();
    expect(right.map((one) => one.admission)).toEqual(['admitted', undefined]);
    await guesses[0]?.settle('refused');
    await settle();
    expect(right.map((one) => one.admission)).toEqual(['admitted', 'admitted']);
    expect(guesses[3]?.admission).toBeUndefined();
  });

  test('are waited for by 8 others of the same name, and a slot is free again when one has gone', async () => {
    const { attempts, begin } = createGuard({ maxFailures: 1, window });
    begin('jane', 'a');
    await settle();
    const caller = new AbortController();
    const waiting = attempts.admit('jane', 'b', caller.signal);
    for (let other = 1; other < 8; other++) begin('jane', `secret ${other}`);
    await settle();
    await expect(attempts.admit('jane', 'one more')).rejects.toMatchObject({ code: 'failed' });
    expect(await attempts.admit('john', 'a')).toMatchObject({ admitted: true });
    caller.abort();
    await expect(waiting).rejects.toThrow();
    const next = begin('jane', 'one more');
    await settle();
    expect(next.admission).toBeUndefined();
  });

  test('that are forgotten count as refused, until settled or the window has passed', async () => {
    const { begin, send } = createGuard({ maxFailures: 1, window });
    const forgotten = begin('jane', 'a');
    await vi.advanceTimersByTimeAsync(abandonedAfter - 1);
    const waiting = begin('jane', 'b');
    await settle();
    expect(waiting.admission).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1);
    expect(waiting.admission).toBe('throttled');
    expect(await send('jane', 'a', 'accepted')).toBe('throttled');
    await forgotten.settle('accepted');
    expect(await send('jane', 'b', 'unavailable')).toBe('sent');
    begin('jane', 'c');
    await vi.advanceTimersByTimeAsync(abandonedAfter + window);
    expect(await send('jane', 'b', 'unavailable')).toBe('sent');
  });

  test('that are forgotten three times need a slot, although their secret was right', async () => {
    const { begin, send } = createGuard({ maxFailures: 1, window });
    await send('jane', 'right', 'accepted');
    for (const _ of [1, 2, 3]) {
      begin('jane', 'right');
      await vi.advanceTimersByTimeAsync(abandonedAfter);
    }
    expect(await send('jane', 'right', 'accepted')).toBe('throttled');
  });

  test('leave no timer behind once they are settled', async () => {
    const { send } = createGuard();
    for (const outcome of ['accepted', 'refused', 'unavailable'] as const)
      await send('jane', outcome, outcome);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('attempts with one secret at the same moment', () => {
  const admissions = (attempts: readonly { admission?: string }[]) =>
    attempts.map(({ admission = 'waits' }) => admission);
  const tooLong = 'earlier logins of the same user take too long';

  async function setUpTries(maxFailures: number, wasRight = false) {
    const all = createGuard({ maxFailures, window });
    if (wasRight) await all.send('jane', 'one', 'accepted');
    vi.setSystemTime(now() + 1);
    const attempts = Array.from({ length: 4 }, () => all.begin('jane', 'one'));
    await settle();
    expect(admissions(attempts)).toEqual(['admitted', 'waits', 'waits', 'waits']);
    return { ...all, attempts };
  }

  test.each([
    { name: 'was right', wasRight: true },
    { name: 'is new', wasRight: false },
  ])('count once when it is refused, though it $name', async ({ wasRight }) => {
    const { attempts, send } = await setUpTries(3, wasRight);
    await attempts[0]?.settle('refused');
    await settle();
    expect(admissions(attempts)).toEqual(['admitted', ...new Array(3).fill('invalid-credentials')]);
    for (const guess of ['a', 'b']) expect(await send('jane', guess, 'refused')).toBe('sent');
    expect(await send('jane', 'c', 'refused')).toBe('throttled');
  });

  test('are sent concurrently when one of them was right, in all slots but one', async () => {
    const { attempts, begin } = await setUpTries(3);
    await attempts[0]?.settle('accepted');
    await settle();
    expect(admissions(attempts)).toEqual(['admitted', 'admitted', 'admitted', 'waits']);
    for (const one of [1, 2]) await attempts[one]?.settle('unavailable');
    await settle();
    expect(admissions(attempts)).toEqual(new Array(4).fill('admitted'));
    // It comes later, when the password may have been changed.
    vi.setSystemTime(now() + 1);
    const later = begin('jane', 'one');
    await settle();
    expect(admissions([later])).toEqual(['waits']);
    await attempts[3]?.settle('accepted');
    await settle();
    expect(admissions([later])).toEqual(['admitted']);
  });

  test('are sent one after the other when no outcome tells whether it is right', async () => {
    const { attempts } = await setUpTries(3);
    await attempts[0]?.settle('unavailable');
    await settle();
    expect(admissions(attempts)).toEqual(['admitted', 'admitted', 'waits', 'waits']);
  });

  test.each([
    { maxFailures: 1, expected: ['admitted', tooLong, tooLong, tooLong] },
    { maxFailures: 2, expected: ['admitted', tooLong, tooLong, tooLong] },
    { maxFailures: 3, expected: ['admitted', 'admitted', tooLong, tooLong] },
  ])(
    'never take the last of $maxFailures slots, however long the backend takes',
    async ({ maxFailures, expected }) => {
      const { attempts, send } = await setUpTries(maxFailures);
      await vi.advanceTimersByTimeAsync(1_000);
      expect(admissions(attempts)).toEqual(expected);
      for (const one of attempts) await one.settle('refused');
      expect(await send('jane', 'new', 'accepted')).toBe(maxFailures === 1 ? 'throttled' : 'sent');
    },
  );
});

describe('a flood of names', () => {
  test('never pushes out a count: new names cannot be checked until a window has passed', async () => {
    const { send } = createGuard({ maxFailures: 1, window }, { maxSubjects: 3 });
    await send('known', 'right', 'accepted');
    for (const name of ['jane', 'b', 'c'])
      expect(await send(name, 'wrong', 'refused')).toBe('sent');
    await expect(send('d', 'x', 'refused')).rejects.toMatchObject({
      code: 'failed',
      message: expect.stringContaining('3 names'),
    });
    expect(await send('jane', 'x', 'refused')).toBe('throttled');
    expect(await send('known', 'right', 'accepted')).toBe('sent');
    vi.setSystemTime(now() + window);
    expect(await send('d', 'x', 'refused')).toBe('sent');
  });

  test('is forgotten name by name as their windows pass, whichever came first', async () => {
    const { send } = createGuard({ maxFailures: 2, window: 1000 }, { maxSubjects: 2 });
    await send('jane', 'a', 'refused');
    await send('john', 'a', 'refused');
    vi.setSystemTime(now() + 900);
    await send('jane', 'b', 'refused');
    vi.setSystemTime(now() + 100);
    expect(await send('new', 'a', 'refused')).toBe('sent');
  });

  test('uses no memory for attempts that were not refused', async () => {
    const { send } = createGuard({ maxFailures: 1, window }, { maxSubjects: 3 });
    for (let name = 0; name < 20; name++)
      expect(await send(`name ${name}`, 'x', 'unavailable')).toBe('sent');
  });

  test('of people who know a password evicts the right secret used longest ago, which is then an unknown one', async () => {
    const { send } = createGuard({ maxFailures: 1, window }, { maxKnownSecrets: 2 });
    for (const name of ['a', 'b']) await send(name, 'right', 'accepted');
    await send('a', 'right', 'unavailable');
    await send('c', 'right', 'accepted');
    for (const name of ['a', 'b', 'c']) await send(name, 'wrong', 'refused');
    expect(await send('a', 'right', 'accepted')).toBe('sent');
    expect(await send('c', 'right', 'accepted')).toBe('sent');
    expect(await send('b', 'right', 'accepted')).toBe('throttled');
  });
});

test('an attempt that has no time left to wait asks for no negative delay, of which Node would warn in the log', async () => {
  const guard = createLocalGuard(() => ({ maxFailures: 1, window }), {
    ...{ now, abandonedAfter },
    ...{ maxSubjects: 10, maxKnownSecrets: 10 },
  });
  const one = guard.identify('corp', 'jane', 'a', 'corp:jane');
  guard.reserve(one, false);
  const delays = vi.spyOn(globalThis, 'setTimeout');
  const woken = guard.nextChange(one, undefined, -200);
  expect(delays).toHaveBeenCalledExactlyOnceWith(expect.any(Function), 0);
  await settle();
  await woken;
});
