import type { Authenticator } from '@sallyport/authenticator';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { CircuitState } from '../engine/chain/circuit.ts';
import type { GuardedLink } from '../engine/chain/guard.ts';
import { createHealth, healthAnswer } from './health.ts';

describe('healthAnswer', () => {
  test('shows what does not decide with verbose only, marked where it failed', () => {
    const notes = [
      { name: 'authenticator/robots', ok: true },
      { name: 'authenticator/corp', ok: false, reason: 'no such base' },
    ];
    const shown = (verbose: boolean) => healthAnswer('readyz', [], verbose, notes);
    expect(shown(true)).toEqual({
      ok: true,
      body:
        '[+]ping ok\n[+]authenticator/robots ok\n' +
        '[!]authenticator/corp failed: reason withheld, does not affect readiness\nreadyz check passed\n',
    });
    expect(shown(false)).toEqual({ ok: true, body: 'ok' });
  });
});

function link(
  name: string,
  circuitState: CircuitState,
  check?: Authenticator['check'],
): GuardedLink {
  const guard = {
    authenticate: async () => ({ kind: 'no-opinion' as const }),
    close: async () => undefined,
    circuitState,
    reconnected: () => undefined,
    askWithin: async () => ({ kind: 'no-opinion' as const }),
    ...(check === undefined ? {} : { check }),
  };
  return { name, onError: 'continue', recognizes: () => true, authenticator: guard, guard };
}

describe('readiness', () => {
  const failing = (health: ReturnType<typeof createHealth>) =>
    health
      .readiness()
      .filter(({ ok }) => !ok)
      .map(({ name }) => name);

  test('waits for the listeners, and ends with the shutdown', () => {
    const health = createHealth(() => []);
    expect(failing(health)).toEqual(['listening']);
    health.listening();
    expect(failing(health)).toEqual([]);
    health.stopping();
    expect(failing(health)).toEqual(['shutdown']);
  });

  test('waits until it is known who is blocked', () => {
    let isUnknown = true;
    const health = createHealth(
      () => [],
      () => isUnknown,
    );
    health.listening();
    expect(failing(health)).toEqual(['revocation-list']);
    isUnknown = false;
    expect(failing(health)).toEqual([]);
  });

  test('does not depend on any backend', () => {
    const health = createHealth(() => [
      link('corp', 'open', () => Promise.reject(new Error('down'))),
    ]);
    health.listening();
    expect(failing(health)).toEqual([]);
  });
});

describe('the health of authenticators', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('has the result of each check; one without a check is healthy, and one that warns', async () => {
    const links = [
      link('break-glass', 'closed'),
      link('robots', 'closed', async () => undefined),
      link('partner', 'closed', async () => ['a is down', 'b is down']),
      link('odd', 'closed', async () => ({ status: 'up' }) as never),
      link('corp', 'closed', () => Promise.reject(new Error('no such base'))),
    ];
    expect(await createHealth(() => links).authenticators()).toEqual([
      { name: 'break-glass', ok: true },
      { name: 'robots', ok: true },
      { name: 'partner', ok: true, reason: 'a is down\nb is down' },
      { name: 'odd', ok: true },
      { name: 'corp', ok: false, reason: 'no such base' },
    ]);
  });

  test.each(['open', 'half-open'] as const)(
    'does not call the backend while the circuit is %s',
    async (state) => {
      const check = vi.fn(async () => undefined);
      const links = [link('corp', state, check)];
      expect(await createHealth(() => links).authenticators()).toEqual([
        { name: 'corp', ok: false, reason: `circuit ${state}` },
      ]);
      expect(check).not.toHaveBeenCalled();
    },
  );

  test('gives a check that never answers 2 s', async () => {
    const links = [link('corp', 'closed', () => new Promise(() => undefined))];
    const asked = createHealth(() => links).authenticators();
    await vi.advanceTimersByTimeAsync(2_000);
    expect(await asked).toEqual([{ name: 'corp', ok: false, reason: 'no answer within 2s' }]);
  });

  test('asks a backend once in 10 s, however often it is asked itself', async () => {
    const check = vi.fn(async () => undefined);
    const links = [link('corp', 'closed', check)];
    const health = createHealth(() => links);
    await Promise.all([health.authenticators(), health.authenticators()]);
    await vi.advanceTimersByTimeAsync(10_000);
    await health.authenticators();
    expect(check).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(1);
    await health.authenticators();
    expect(check).toHaveBeenCalledTimes(2);
  });

  test('asks again after a reload', async () => {
    let links = [link('corp', 'closed')];
    const health = createHealth(() => links);
    await health.authenticators();
    links = [link('staff', 'closed')];
    expect(await health.authenticators()).toEqual([{ name: 'staff', ok: true }]);
  });
});
