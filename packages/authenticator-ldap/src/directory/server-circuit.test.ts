import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createProbe, createServerCircuit, type Use } from './server-circuit.ts';

function createCircuitWithClock(failures = 3) {
  const changes: string[] = [];
  let time = 0;
  const circuit = createServerCircuit({
    failures,
    now: () => time,
    onOpen: (reason) => changes.push(`open: ${reason}`),
    onClose: () => changes.push('closed'),
  });
  const fail = (use: Use = 'service', reason = 'down') => circuit.begin(use).failed(reason);
  return { circuit, changes, fail, tick: () => time++ };
}

describe('a server circuit', () => {
  test('opens after the configured number of consecutive failures, and reports the last reason', () => {
    const { circuit, changes, fail } = createCircuitWithClock();
    fail();
    fail();
    expect(circuit.isOpen).toBe(false);
    fail('service', 'the third');
    expect([circuit.isOpen, changes]).toEqual([true, ['open: the third']]);
  });

  test('counts from 0 again after a success', () => {
    const { circuit, fail } = createCircuitWithClock();
    fail();
    fail();
    circuit.begin('service').succeeded();
    fail();
    fail();
    expect(circuit.isOpen).toBe(false);
  });

  test('opens when no connection for a user can be made, although searches go well in between', () => {
    const { circuit, fail } = createCircuitWithClock();
    for (let login = 0; login < 3; login++) {
      circuit.begin('service').succeeded();
      fail('user');
    }
    expect(circuit.isOpen).toBe(true);
  });

  test('is on trial once a probe has closed it: one failure opens it, one success ends the trial', () => {
    const { circuit, fail } = createCircuitWithClock();
    for (let count = 0; count < 3; count++) fail();
    circuit.close();
    expect(circuit.isOpen).toBe(false);
    fail('user');
    expect(circuit.isOpen).toBe(true);
    circuit.close();
    circuit.begin('user').succeeded();
    fail('user');
    expect(circuit.isOpen).toBe(false);
  });

  test('does not hear what calls of before it opened or closed have to say', () => {
    const { circuit, fail } = createCircuitWithClock();
    const early = [circuit.begin('user'), circuit.begin('service')];
    for (let count = 0; count < 3; count++) fail();
    early[0]?.succeeded();
    expect(circuit.isOpen).toBe(true);
    circuit.close();
    early[1]?.failed('late');
    expect([circuit.isOpen, circuit.lastFailure?.reason]).toEqual([false, 'down']);
  });

  test('is closed by the success of a call that began while it was open', () => {
    const { circuit, changes, fail } = createCircuitWithClock(1);
    fail();
    circuit.begin('service').succeeded();
    expect([circuit.isOpen, changes]).toEqual([false, ['open: down', 'closed']]);
  });

  test('keeps the newest reason and its time, also of a probe that failed', () => {
    const { circuit, fail, tick } = createCircuitWithClock(1);
    fail();
    tick();
    fail('service', 'still down');
    expect([circuit.lastFailure, circuit.isOpen]).toEqual([{ reason: 'still down', at: 1 }, true]);
  });
});

describe('a probe', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const pass = (milliseconds = 0) => vi.advanceTimersByTimeAsync(milliseconds);

  function setUpProbe() {
    const ends: (() => void)[] = [];
    const probe = createProbe(10, () => new Promise((resolve) => ends.push(resolve)));
    return { probe, ends };
  }

  test('begins an interval after the start, and after the end of the one before', async () => {
    const { probe, ends } = setUpProbe();
    probe.start();
    await pass(9);
    expect(ends.length).toBe(0);
    await pass(1000);
    expect(ends.length).toBe(1);
    ends[0]?.();
    await pass(9);
    expect(ends.length).toBe(1);
    await pass(1);
    expect(ends.length).toBe(2);
  });

  test('a start during an attempt makes no second one', async () => {
    const { probe, ends } = setUpProbe();
    probe.start();
    await pass(10);
    probe.stop();
    probe.start();
    await pass(1000);
    expect([ends.length, vi.getTimerCount()]).toEqual([1, 0]);
    ends[0]?.();
    await pass(10);
    expect(ends.length).toBe(2);
  });

  test('none follows a stop, and the current one can be waited for', async () => {
    const { probe, ends } = setUpProbe();
    probe.start();
    await pass(10);
    probe.stop();
    let isIdle = false;
    const idle = probe.untilIdle().then(() => {
      isIdle = true;
    });
    await pass(1000);
    expect(isIdle).toBe(false);
    ends[0]?.();
    await idle;
    await pass(1000);
    expect([ends.length, vi.getTimerCount()]).toEqual([1, 0]);
  });
});
