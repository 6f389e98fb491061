import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type CallOutcome,
  type CircuitState,
  createCircuit,
  createCircuitWindow,
} from './circuit.ts';

function createCircuitWithClock(minimumCalls = 5, openFor = 5000) {
  const changes: CircuitState[] = [];
  let time = 1_000_000;
  const circuit = createCircuit(
    { minimumCalls, openFor },
    { now: () => time, onStateChange: (state) => changes.push(state) },
  );
  const finish = (...outcomes: CallOutcome[]) => {
    for (const outcome of outcomes) circuit.admit().settle(outcome);
  };
  return { circuit, changes, finish, pass: (milliseconds: number) => (time += milliseconds) };
}

const outages = (count: number) => new Array<CallOutcome>(count).fill('outage');

describe('a closed circuit', () => {
  test('opens at the fifth of five outages, not at the fourth', () => {
    const { circuit, finish } = createCircuitWithClock();
    finish(...outages(4));
    expect(circuit.state).toBe('closed');
    finish('outage');
    expect(circuit.state).toBe('open');
  });

  test('opens at half, not below', () => {
    const below = createCircuitWithClock();
    below.finish('answered', 'answered', 'answered', ...outages(2));
    expect(below.circuit.state).toBe('closed');
    below.finish('outage');
    expect(below.circuit.state).toBe('open');
  });

  test('is not opened by an answer, when the answers before an outage have left the window', () => {
    const { circuit, finish, pass } = createCircuitWithClock();
    finish(...new Array<CallOutcome>(8).fill('answered'));
    pass(6_000);
    finish(...outages(5));
    pass(6_000);
    finish('answered');
    expect(circuit.state).toBe('closed');
    finish('outage');
    expect(circuit.state).toBe('open');
  });

  test('counts a call that was not finished as nothing', () => {
    const { circuit, finish } = createCircuitWithClock();
    finish('nothing', 'nothing', ...outages(4), 'nothing');
    expect(circuit.state).toBe('closed');
  });
});

describe('an open circuit', () => {
  test('refuses immediately and says when the next call may go out', () => {
    const { circuit, finish, pass } = createCircuitWithClock();
    finish(...outages(5));
    expect(() => circuit.admit()).toThrow('circuit open, next call in 5s');
    pass(2001);
    expect(() => circuit.admit()).toThrow(
      expect.objectContaining({ code: 'unavailable', message: expect.stringContaining('in 3s') }),
    );
    pass(2999);
    expect(circuit.state).toBe('half-open');
  });

  test('is not disturbed by calls that began before', () => {
    const { circuit, finish, pass, changes } = createCircuitWithClock();
    const old = [circuit.admit(), circuit.admit(), circuit.admit()];
    finish(...outages(5));
    old[0]?.settle('answered');
    expect(circuit.state).toBe('open');
    pass(5000);
    const probe = circuit.admit();
    old[1]?.settle('outage');
    expect(circuit.state).toBe('half-open');
    probe.settle('answered');
    old[2]?.settle('outage');
    finish(...outages(4));
    expect(circuit.state).toBe('closed');
    expect(changes).toEqual(['open', 'half-open', 'closed']);
  });
});

describe('a half-open circuit', () => {
  const halfOpen = () => {
    const parts = createCircuitWithClock();
    parts.finish(...outages(5));
    parts.pass(5000);
    return parts;
  };

  test('lets one probe out and refuses others immediately', () => {
    const { circuit } = halfOpen();
    expect(circuit.admit().probe).toBe(true);
    expect(() => circuit.admit()).toThrow('circuit half-open');
  });

  test('closes with a clean slate when the probe is answered', () => {
    const { circuit, finish } = halfOpen();
    finish('answered');
    expect(circuit.state).toBe('closed');
    expect(circuit.admit().probe).toBe(false);
    finish(...outages(4));
    expect(circuit.state).toBe('closed');
    finish('outage');
    expect(circuit.state).toBe('open');
  });

  test('opens for another openFor at an outage', () => {
    const { circuit, finish, pass } = halfOpen();
    finish('outage');
    pass(4999);
    expect(() => circuit.admit()).toThrow('circuit open, next call in 1s');
    pass(1);
    expect(circuit.admit().probe).toBe(true);
  });

  test('lets the next probe out when one came to nothing', () => {
    const { circuit, finish } = halfOpen();
    finish('nothing');
    expect(circuit.state).toBe('half-open');
    expect(circuit.admit().probe).toBe(true);
  });
});

describe('a reconnection', () => {
  test('half-opens a circuit that is open: one call goes out, and no other one', () => {
    const { circuit, finish, changes } = createCircuitWithClock();
    finish(...outages(5));
    circuit.reconnected();
    expect(circuit.state).toBe('half-open');
    const probe = circuit.admit();
    expect(() => circuit.admit()).toThrow('circuit half-open');
    circuit.reconnected();
    expect(() => circuit.admit()).toThrow('circuit half-open');
    probe.settle('answered');
    expect(changes).toEqual(['open', 'half-open', 'closed']);
  });

  test('that is followed by an outage costs one call, and openFor begins again', () => {
    const { circuit, finish, pass } = createCircuitWithClock();
    finish(...outages(5));
    pass(4000);
    circuit.reconnected();
    finish('outage');
    expect(() => circuit.admit()).toThrow('circuit open, next call in 5s');
    circuit.reconnected();
    expect(circuit.admit().probe).toBe(true);
  });

  test('changes nothing of a closed circuit', () => {
    const { circuit, finish } = createCircuitWithClock();
    finish(...outages(4));
    circuit.reconnected();
    expect([circuit.state, circuit.admit().probe]).toEqual(['closed', false]);
    finish('outage');
    expect(circuit.state).toBe('open');
  });
});

test('the window has the counts of a plain list of times, but for the length of a slice', () => {
  const step = fc.record({
    pass: fc.oneof(fc.nat(30), fc.nat(4000), fc.nat(30_000)),
    outage: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.nat(100_000), (steps, start) => {
      let time = start;
      const window = createCircuitWindow(() => time);
      const list: { at: number; outage: boolean }[] = [];
      for (const { pass, outage } of steps) {
        time += pass;
        window.record(outage);
        list.push({ at: time, outage });
        const within = (span: number, only: boolean) =>
          list.filter((call) => time - call.at <= span && (call.outage || !only)).length;
        expect(window.counts().calls).toBeGreaterThanOrEqual(within(10_000, false));
        expect(window.counts().calls).toBeLessThanOrEqual(within(11_000, false));
        expect(window.counts().outages).toBeGreaterThanOrEqual(within(10_000, true));
        expect(window.counts().outages).toBeLessThanOrEqual(within(11_000, true));
      }
    }),
  );
});
