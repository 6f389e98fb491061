import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createArrivingBodies } from './arriving-bodies.ts';

function start(count: number, bytes: number) {
  const bodies = createArrivingBodies({ count, bytes });
  const refused: string[] = [];
  return { refused, begin: (name: string) => bodies.begin(() => refused.push(name)) };
}

test('beyond the number of bodies the oldest is refused', () => {
  const { begin, refused } = start(2, 1000);
  const [first] = [begin('a'), begin('b')];
  expect(refused).toEqual([]);
  begin('c');
  expect(refused).toEqual(['a']);
  // What comes of it later counts no more.
  first.add(5000);
  first.end();
  begin('d');
  expect(refused).toEqual(['a', 'b']);
});

test('beyond the bytes the oldest are refused, until the others fit', () => {
  const { begin, refused } = start(100, 1000);
  const [a, b, c] = [begin('a'), begin('b'), begin('c')];
  b.add(400);
  c.add(600);
  expect(refused).toEqual([]);
  a.add(1);
  expect(refused).toEqual(['a']);
  c.add(400);
  expect(refused).toEqual(['a', 'b']);
});

test('a body that has arrived no longer counts', () => {
  const { begin, refused } = start(1, 1000);
  for (const name of ['a', 'b', 'c']) {
    const body = begin(name);
    body.add(1000);
    body.end();
    body.end();
  }
  expect(refused).toEqual([]);
});

test('whatever comes and goes, never more is held than the limits, and each body is refused once at most', () => {
  const step = fc.record({ body: fc.nat(9), bytes: fc.integer({ min: 0, max: 40 }), ends: fc.boolean() });
  const property = fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
    const held = new Map<number, number>();
    const bodies = createArrivingBodies({ count: 4, bytes: 100 });
    const open = new Map<number, ReturnType<typeof bodies.begin>>();
    for (const { body, bytes, ends } of steps) {
      if (!open.has(body)) {
        held.set(body, 0);
        open.set(
          body,
          bodies.begin(() => {
            expect(held.delete(body)).toBe(true);
            open.delete(body);
          }),
        );
      }
      held.set(body, (held.get(body) ?? 0) + bytes);
      open.get(body)?.add(bytes);
      if (ends && open.has(body)) {
        open.get(body)?.end();
        open.delete(body);
        held.delete(body);
      }
      expect(held.size).toBeLessThanOrEqual(4);
      expect([...held.values()].reduce((sum, one) => sum + one, 0)).toBeLessThanOrEqual(100);
    }
  });
  fc.assert(property);
});
