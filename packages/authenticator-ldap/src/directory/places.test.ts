import { expect, test } from 'vitest';
import { createPlaces } from './places.ts';
import { never } from './testing/set-up.ts';

const wait = { signal: never, timeout: 60_000, late: () => new Error('late') };

test('a place that is left twice is one place', async () => {
  const places = createPlaces(1);
  const leave = await places.take(wait);
  leave();
  leave();
  const second = await places.take(wait);
  const order: string[] = [];
  const third = places.take(wait).then(() => order.push('third'));
  await new Promise(setImmediate);
  order.push('second leaves');
  second();
  await third;
  expect(order).toEqual(['second leaves', 'third']);
});
