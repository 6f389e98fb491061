import { expect, test, vi } from 'vitest';
import { ageText, createSlots, durationText, pause } from './deadlines.ts';

test('a pause ends early with its signal, and does not throw', async () => {
  await pause(1, new AbortController().signal);
  await pause(60_000, AbortSignal.abort());
});

test('a pause that is over already sets no timer, which would take a millisecond', async () => {
  using setTimeout = vi.spyOn(globalThis, 'setTimeout');
  await pause(0, new AbortController().signal);
  await pause(-5, new AbortController().signal);
  expect(setTimeout).not.toHaveBeenCalled();
});

test('a slot passes to those who wait, also after an error', async () => {
  const inSlot = createSlots(1);
  const wait = { limit: 60_000, late: () => new Error('late') };
  const order: string[] = [];
  const hold = Promise.withResolvers<void>();
  const first = inSlot(wait, () => hold.promise);
  const others = ['second', 'third'].map((name) => inSlot(wait, async () => order.push(name)));
  await new Promise(setImmediate);
  order.push('first leaves');
  hold.reject(new Error('of the work'));
  await expect(first).rejects.toThrow('of the work');
  await Promise.all(others);
  expect(order).toEqual(['first leaves', 'second', 'third']);
});

test('lengths of time read as people say them', () => {
  expect([300, 1000, 1500, 3000, 119_000, 240_000, 10_800_000].map(durationText)).toEqual([
    ...['300ms', '1s', '1500ms', '3s', '119s', '4m', '3h'],
  ]);
});

test('ages are rounded to seconds', () => {
  expect([0, 999, 1400, 12_345, 7_200_000].map(ageText)).toEqual([
    'just now',
    'just now',
    '1s ago',
    '12s ago',
    '2h ago',
  ]);
});
