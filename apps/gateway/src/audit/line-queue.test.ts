import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createLineQueue } from './line-queue.ts';

const size = (lines: readonly string[]) => lines.reduce((sum, line) => sum + Buffer.byteLength(line), 0);

test('gives what it took in, in order, as much at once as may be, and has room for so many bytes at any time', () => {
  const line = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
    .map((text) => `${text.replaceAll('\n', ' ')}\n`);
  const step = fc.oneof({ weight: 3, arbitrary: line }, fc.integer({ min: 1, max: 60 }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const queue = createLineQueue(100);
      const waiting: string[] = [];
      for (const one of steps) {
        if (typeof one === 'string') {
          const hasRoom = size(waiting) + Buffer.byteLength(one) <= 100;
          expect(queue.add(one)).toBe(hasRoom);
          if (hasRoom) waiting.push(one);
        } else {
          const fitting = waiting.findLastIndex((_, at) => size(waiting.slice(0, at + 1)) <= one) + 1;
          const taken = waiting.splice(0, Math.max(fitting, 1));
          expect(queue.take(one).toString()).toBe(taken.join(''));
        }
        expect(queue.lines).toBe(waiting.length);
      }
    }),
  );
});

test('is empty, and has all its room, once it was cleared', () => {
  const queue = createLineQueue(10);
  expect([queue.add('12345678\n'), queue.add('1\n')]).toEqual([true, false]);
  queue.clear();
  expect([queue.lines, queue.take(10).length, queue.add('123456789\n')]).toEqual([0, 0, true]);
});

test('loses none where thousands go through it', () => {
  const queue = createLineQueue(10_000);
  const lines = Array.from({ length: 5_000 }, (_, at) => `${at}\n`);
  let taken = '';
  for (const line of lines) {
    expect(queue.add(line)).toBe(true);
    if (queue.lines >= 1_100) taken += queue.take(400).toString();
  }
  while (queue.lines > 0) taken += queue.take(400).toString();
  expect(taken).toBe(lines.join(''));
  expect(queue.take(400).length).toBe(0);
});
