import { expect, test } from 'vitest';
import { requireSlots } from './cluster-answers.ts';

const node = (index: number) => [Buffer.from(`10.0.0.${index}`), 6379, Buffer.from('id'), []];
const nodes = (count: number) => Array.from({ length: count }, (_, index) => node(index));

test('slots name at most 256 nodes, each as often as it has ranges', () => {
  const ranges = nodes(256).flatMap((one, index) => [
    [2 * index, 2 * index, one],
    [2 * index + 1, 2 * index + 1, one],
  ]);
  expect(() => requireSlots(ranges)).not.toThrow();
  expect(() => requireSlots([[0, 16_383, ...nodes(256)]])).not.toThrow();
  expect(() => requireSlots([[0, 16_383, ...nodes(257)]])).toThrow('slots that no cluster has');
  expect(() => requireSlots([...ranges, [16_383, 16_383, node(256)]])).toThrow('slots that no cluster has');
});
