import { expect, test } from 'vitest';
import { createRefusals } from './refusals.ts';

const file = { file: '/etc/sallyport/tokens.yaml', reload: async () => {} };

test('each source is remembered by itself, until it is taken in', () => {
  let now = 100;
  const refusals = createRefusals(() => now++);
  refusals.reloaded('config', ['gateway.yaml:1:1: is empty']);
  refusals.reloaded(file, ['is bad']);
  refusals.reloaded('certificates', []);
  expect(refusals.list()).toEqual([
    { what: '/etc/sallyport/tokens.yaml', at: 101, problems: ['is bad'] },
    { what: 'config', at: 100, problems: ['gateway.yaml:1:1: is empty'] },
  ]);
  refusals.reloaded(file, []);
  expect(refusals.list().map(({ what }) => what)).toEqual(['config']);
});

test('the last refusal of a source is told, and a config that is taken in makes all good', () => {
  const refusals = createRefusals(() => 1);
  refusals.reloaded('certificates', ['first']);
  refusals.reloaded('certificates', ['second']);
  expect(refusals.list()).toEqual([{ what: 'certificates', at: 1, problems: ['second'] }]);
  refusals.reloaded('config', []);
  expect(refusals.list()).toEqual([]);
});
