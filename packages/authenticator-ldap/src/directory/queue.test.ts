import { expect, test } from 'vitest';
import { createSlots } from './queue.ts';
import { never } from './testing/set-up.ts';

const wait = { signal: never, timeout: 60_000, late: () => new Error('late') };

test('a slot that is given back twice is one slot', async () => {
  const slots = createSlots(1);
  const leave = await slots.take(wait);
  leave();
  leave();
  const second = await slots.take(wait);
  const order: string[] = [];
  const third = slots.take(wait).then(() => order.push('third'));
  await new Promise(setImmediate);
  order.push('second leaves');
  second();
  await third;
  expect(order).toEqual(['second leaves', 'third']);
});
