import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createBreaker } from './breaker.ts';

function setUp() {
  const changes: boolean[] = [];
  let time = 1_000_000;
  const breaker = createBreaker({ now: () => time, onChange: (isOpen) => changes.push(isOpen) });
  return {
    breaker,
    changes,
    /** `x`: an outage, `.`: an answer. */
    note: (calls: string) => Array.from(calls, (call) => breaker.note(call === 'x')),
    probe: (probes: string) => Array.from(probes, (one) => breaker.probe(one === 'x')),
    pass: (milliseconds: number) => {
      time += milliseconds;
    },
  };
}

describe('the breaker opens', () => {
  test.each([
    ['xxxx', false],
    ['xxxxx', true],
    ['..xxx', true],
    ['...xx', false],
    ['...xxx', true],
    ['xx......', false],
    ['....xxxx', true],
  ])('at five calls, half of them outages: %s', (calls, isOpen) => {
    const { breaker, note } = setUp();
    note(calls);
    expect(breaker.isOpen).toBe(isOpen);
  });

  test('by the calls of the last 10 s', () => {
    for (const [time, isOpen] of [
      [10_000, true],
      [11_000, false],
    ] as const) {
      const { breaker, note, pass } = setUp();
      note('xxxx');
      pass(time);
      note('x');
      expect(breaker.isOpen).toBe(isOpen);
    }
  });

  test.each([
    ['x', false],
    ['xx', true],
    ['x.x.x', false],
    ['x.xx', true],
  ])('at two bad probes in a row: %s', (probes, isOpen) => {
    const { breaker, probe } = setUp();
    probe(probes);
    expect(breaker.isOpen).toBe(isOpen);
  });
});

describe('an open breaker', () => {
  const open = () => {
    const own = setUp();
    own.note('xxxxx');
    return own;
  };

  test.each([
    ['..', true],
    ['...', false],
    ['..x..', true],
    ['..x...', false],
    ['x.xx..', true],
  ])('closes at three good probes in a row: %s', (probes, isOpen) => {
    const { breaker, probe } = open();
    probe(probes);
    expect(breaker.isOpen).toBe(isOpen);
  });

  test('is not closed by calls that come back late, nor by time', () => {
    const { breaker, note, probe, pass } = open();
    note('..........');
    pass(3_600_000);
    note('..........');
    probe('..');
    expect(breaker.isOpen).toBe(true);
  });

  test('forgets once it is closed what opened it', () => {
    const { breaker, changes, note, probe } = open();
    note('xxxx');
    probe('...');
    note('xxxx');
    probe('x');
    expect([breaker.isOpen, changes]).toEqual([false, [true, false]]);
    note('x');
    expect([breaker.isOpen, changes]).toEqual([true, [true, false, true]]);
  });
});

test('it does what the rules say, in any order of calls and probes', () => {
  const deed = fc.oneof(
    fc.boolean().map((isOutage) => ({ kind: 'note', isOutage }) as const),
    fc.boolean().map((isOutage) => ({ kind: 'probe', isOutage }) as const),
  );
  fc.assert(
    fc.property(fc.array(deed, { maxLength: 60 }), (deeds) => {
      const { breaker, changes } = setUp();
      let [isOpen, calls, row]: [boolean, boolean[], string] = [false, [], ''];
      for (const { kind, isOutage } of deeds) {
        breaker[kind](isOutage);
        if (kind === 'note' && !isOpen) calls = [...calls, isOutage];
        if (kind === 'probe') row += isOutage ? 'x' : '.';
        const isBad = calls.length >= 5 && calls.filter(Boolean).length * 2 >= calls.length;
        const turns = isOpen ? row.endsWith('...') : isBad || row.endsWith('xx');
        if (turns) [isOpen, calls, row] = [!isOpen, [], ''];
        expect(breaker.isOpen).toBe(isOpen);
      }
      expect(changes).toEqual(changes.map((_, index) => index % 2 === 0));
    }),
    { numRuns: 2_000 },
  );
});
