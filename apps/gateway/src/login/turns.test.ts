import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createTurns } from './turns.ts';

test('of those that come at once, each has a turn of the event loop of its own, in their order', async () => {
  const wait = createTurns();
  let turn = 0;
  const begun: { readonly index: number; readonly turn: number }[] = [];
  const ask = (from: number, count: number) =>
    Array.from({ length: count }, async (_, index) => {
      await wait();
      begun.push({ index: from + index, turn });
    });
  const asked = ask(0, 20);
  for (; turn < 10; turn += 1) await nextTurn();
  asked.push(...ask(20, 5));
  for (; begun.length < 25; turn += 1) await nextTurn();
  await Promise.all(asked);
  expect(begun.map(({ index }) => index)).toEqual([...Array(25).keys()]);
  expect(new Set(begun.map((one) => one.turn)).size).toBe(25);
  // Once none is left, the next one need not wait for long.
  turn = 0;
  const last = ask(25, 1);
  await nextTurn();
  await nextTurn();
  await Promise.all(last);
  expect(begun).toHaveLength(26);
});
