import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRedisCircuit } from './redis-circuit.ts';

function createCircuitWithClock() {
  const changes: boolean[] = [];
  let time = 1_000_000;
  const circuit = createRedisCircuit(
    () => time,
    (isOpen) => changes.push(isOpen),
  );
  return {
    circuit,
    changes,
    /** `x`: an outage, `.`: an answer. */
    note: (calls: string) => Array.from(calls, (call) => circuit.record(call === 'x')),
    probe: (probes: string) => Array.from(probes, (one) => circuit.probe(one === 'x')),
    pass: (milliseconds: number) => {
      time += milliseconds;
    },
  };
}

describe('the circuit opens', () => {
  test.each([
    { calls: 'xxxx', isOpen: false },
    { calls: 'xxxxx', isOpen: true },
    { calls: '..xxx', isOpen: true },
    { calls: '...xx', isOpen: false },
    { calls: '...xxx', isOpen: true },
    { calls: 'xx......', isOpen: false },
    { calls: '....xxxx', isOpen: true },
  ])('at five calls, half of them outages: $calls', ({ calls, isOpen }) => {
    const { circuit, note } = createCircuitWithClock();
    note(calls);
    expect(circuit.isOpen).toBe(isOpen);
  });

  test('is not opened by an answer, when the answers before an outage have left the window', () => {
    const { circuit, note, pass } = createCircuitWithClock();
    note('........');
    pass(6_000);
    note('xxxxx');
    pass(6_000);
    note('.');
    expect(circuit.isOpen).toBe(false);
    note('x');
    expect(circuit.isOpen).toBe(true);
  });

  test('by the calls of the last 10 s', () => {
    for (const [time, isOpen] of [
      [10_000, true],
      [11_000, false],
    ] as const) {
      const { circuit, note, pass } = createCircuitWithClock();
      note('xxxx');
      pass(time);
      note('x');
      expect(circuit.isOpen).toBe(isOpen);
    }
  });

  test.each([
    { probes: 'x', isOpen: false },
    { probes: 'xx', isOpen: true },
    { probes: 'x.x.x', isOpen: false },
    { probes: 'x.xx', isOpen: true },
  ])('at two failed probes in a row: $probes', ({ probes, isOpen }) => {
    const { circuit, probe } = createCircuitWithClock();
    probe(probes);
    expect(circuit.isOpen).toBe(isOpen);
  });
});

describe('an open circuit', () => {
  const open = () => {
    const own = createCircuitWithClock();
    own.note('xxxxx');
    return own;
  };

  test.each([
    { probes: '..', isOpen: true },
    { probes: '...', isOpen: false },
    { probes: '..x..', isOpen: true },
    { probes: '..x...', isOpen: false },
    { probes: 'x.xx..', isOpen: true },
  ])('closes at three successful probes in a row: $probes', ({ probes, isOpen }) => {
    const { circuit, probe } = open();
    probe(probes);
    expect(circuit.isOpen).toBe(isOpen);
  });

  test('is not closed by calls that come back late, nor by time', () => {
    const { circuit, note, probe, pass } = open();
    note('..........');
    pass(3_600_000);
    note('..........');
    probe('..');
    expect(circuit.isOpen).toBe(true);
  });

  test('forgets once it is closed what opened it', () => {
    const { circuit, changes, note, probe } = open();
    note('xxxx');
    probe('...');
    note('xxxx');
    probe('x');
    expect([circuit.isOpen, changes]).toEqual([false, [true, false]]);
    note('x');
    expect([circuit.isOpen, changes]).toEqual([true, [true, false, true]]);
  });
});

test('it follows the rules in any order of calls and probes', () => {
  const step = fc.oneof(
    fc.boolean().map((isOutage) => ({ kind: 'record', isOutage }) as const),
    fc.boolean().map((isOutage) => ({ kind: 'probe', isOutage }) as const),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { circuit, changes } = createCircuitWithClock();
      let [isOpen, calls, row]: [boolean, boolean[], string] = [false, [], ''];
      for (const { kind, isOutage } of steps) {
        circuit[kind](isOutage);
        if (kind === 'record' && !isOpen) calls = [...calls, isOutage];
        if (kind === 'probe') row += isOutage ? 'x' : '.';
        const isHalf = calls.length >= 5 && calls.filter(Boolean).length * 2 >= calls.length;
        const isBad = kind === 'record' && isOutage && isHalf;
        const turns = isOpen ? row.endsWith('...') : isBad || row.endsWith('xx');
        if (turns) [isOpen, calls, row] = [!isOpen, [], ''];
        expect(circuit.isOpen).toBe(isOpen);
      }
      expect(changes).toEqual(changes.map((_, index) => index % 2 === 0));
    }),
    { numRuns: 2_000 },
  );
});
