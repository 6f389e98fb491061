import { expect, test, vi } from 'vitest';
import { createConcurrencyLimit, delay } from './waiting.ts';

test('a delay ends early with its signal, and does not throw', async () => {
  await delay(1, new AbortController().signal);
  await delay(60_000, AbortSignal.abort());
});

test('a delay that is over already sets no timer, which would take a millisecond', async () => {
  using setTimeout = vi.spyOn(globalThis, 'setTimeout');
  await delay(0, new AbortController().signal);
  await delay(-5, new AbortController().signal);
  expect(setTimeout).not.toHaveBeenCalled();
});

test('a slot passes to those who wait, also after an error', async () => {
  const inSlot = createConcurrencyLimit(1);
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
