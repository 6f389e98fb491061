import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createFairTurns } from './fair-turns.ts';

/** Each text has the address before the first space. */
function createTurns(limits: Partial<Parameters<typeof createFairTurns>[0]> = {}) {
  const give = createFairTurns({ waiting: 100, inProgress: Number.POSITIVE_INFINITY, ...limits });
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const leaves = new Map<string, () => void>();
  const ask = (name: string) => {
    const leave = give(name.split(' ', 1)[0] ?? '', (end) => {
      begun.push(name);
      ends.set(name, end);
    });
    if (leave !== undefined) leaves.set(name, leave);
    return leave !== undefined;
  };
  return {
    ask,
    begun,
    end: (name: string) => ends.get(name)?.(),
    leave: (name: string) => leaves.get(name)?.(),
  };
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await nextTurn();
}

test('of those that come together, each has a turn of the event loop of its own, in their order', async () => {
  const { ask, begun } = createTurns();
  const names = Array.from({ length: 20 }, (_, index) => `a ${index}`);
  for (const name of names) ask(name);
  expect(begun).toEqual([]);
  for (let turn = 0; turn < 20; turn++) {
    await nextTurn();
    expect(begun.length).toBeLessThanOrEqual(turn + 1);
  }
  await nextTurn();
  expect(begun).toEqual(names);
  // Once none is left, the next one need not wait for long.
  ask('a last');
  await turns(2);
  expect(begun.at(-1)).toBe('a last');
});

test('addresses take turns, so that one of which many wait delays no other', async () => {
  const { ask, begun } = createTurns();
  for (let count = 0; count < 50; count++) ask(`flood ${count}`);
  for (const name of ['b 0', 'b 1', 'c 0']) ask(name);
  await turns(7);
  expect(begun.filter((name) => !name.startsWith('flood'))).toEqual(['b 0', 'c 0', 'b 1']);
});

test('no more of an address wait than may, and others still do', async () => {
  const { ask, begun } = createTurns({ waiting: 2 });
  expect(['a 0', 'a 1', 'a 2', 'b 0'].map(ask)).toEqual([true, true, false, true]);
  await turns(4);
  expect(begun).toEqual(['a 0', 'b 0', 'a 1']);
  expect(ask('a 3')).toBe(true);
});

test('no more of an address are in progress than may, until one has ended', async () => {
  const { ask, begun, end } = createTurns({ inProgress: 2 });
  for (const name of ['a 0', 'a 1', 'a 2', 'a 3', 'b 0']) ask(name);
  await turns(10);
  expect(begun).toEqual(['a 0', 'b 0', 'a 1']);
  for (let times = 0; times < 2; times++) end('a 0');
  await turns(10);
  expect(begun).toEqual(['a 0', 'b 0', 'a 1', 'a 2']);
});

test('one that leaves gets no turn, and its place is free immediately', async () => {
  const { ask, begun, end, leave } = createTurns({ waiting: 2, inProgress: 1 });
  ask('a 0');
  await turns(2);
  expect(['a 1', 'a 2', 'a 3'].map(ask)).toEqual([true, true, false]);
  for (const name of ['a 0', 'a 1']) leave(name);
  expect(ask('a 4')).toBe(true);
  end('a 0');
  await turns(3);
  expect(begun).toEqual(['a 0', 'a 2']);
  // The last one that waits leaves when its turn is planned already: others get theirs.
  end('a 2');
  leave('a 4');
  ask('b 0');
  await turns(2);
  expect(begun).toEqual(['a 0', 'a 2', 'b 0']);
});

test('whatever comes, leaves and ends in whatever order, all others begin once, within the limits', async () => {
  const event = fc.oneof(
    fc.record({ do: fc.constant('ask' as const), address: fc.constantFrom('a', 'b', 'c') }),
    fc.record({ do: fc.constant('end' as const), index: fc.nat(20) }),
    fc.record({ do: fc.constant('leave' as const), index: fc.nat(20) }),
    fc.record({ do: fc.constant('turn' as const) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(event, { maxLength: 60 }), async (events) => {
      const { ask, begun, end, leave } = createTurns({ waiting: 3, inProgress: 2 });
      const asked: string[] = [];
      const running = new Set<string>();
      const look = () => {
        for (const name of begun.slice(seen)) running.add(name);
        seen = begun.length;
        for (const address of 'abc')
          expect([...running].filter((name) => name.startsWith(address)).length).toBeLessThan(3);
      };
      let seen = 0;
      const endOne = (index: number) => {
        const name = [...running][index % Math.max(1, running.size)];
        if (name === undefined) return;
        running.delete(name);
        end(name);
      };
      const leaveOne = (index: number) => {
        const waiting = asked.filter((name) => !begun.includes(name));
        const name = waiting[index % Math.max(1, waiting.length)];
        if (name === undefined) return;
        asked.splice(asked.indexOf(name), 1);
        leave(name);
      };
      for (const [number, one] of events.entries()) {
        if (one.do === 'ask' && ask(`${one.address} ${number}`))
          asked.push(`${one.address} ${number}`);
        if (one.do === 'end') endOne(one.index);
        if (one.do === 'leave') leaveOne(one.index);
        if (one.do === 'turn') await nextTurn();
        look();
      }
      for (let count = 0; count < 200 && begun.length < asked.length; count++) {
        await nextTurn();
        look();
        endOne(0);
      }
      expect([...begun].sort()).toEqual([...asked].sort());
    }),
  );
});
