import { expect, test } from 'vitest';
import { createRefusedReloads } from './refused-reloads.ts';

const file = { file: '/etc/sallyport/tokens.yaml' };

test('a refused reload is remembered for each source, until the source is loaded', () => {
  let now = 100;
  const refused = createRefusedReloads(() => now++);
  refused.reloaded('config', ['gateway.yaml:1:1: is empty']);
  refused.reloaded(file, ['is bad']);
  refused.reloaded('certificates', []);
  expect(refused.list()).toEqual([
    { what: '/etc/sallyport/tokens.yaml', at: 101, problems: ['is bad'] },
    { what: 'config', at: 100, problems: ['gateway.yaml:1:1: is empty'] },
  ]);
  expect(refused.count).toBe(2);
  refused.reloaded(file, []);
  expect(refused.count).toBe(1);
  expect(refused.list().map(({ what }) => what)).toEqual(['config']);
});

test('the last refusal of a source counts, and a config that is loaded clears all', () => {
  const refused = createRefusedReloads(() => 1);
  refused.reloaded('certificates', ['first']);
  refused.reloaded('certificates', ['second']);
  expect(refused.list()).toEqual([{ what: 'certificates', at: 1, problems: ['second'] }]);
  refused.reloaded('config', []);
  expect(refused.list()).toEqual([]);
});

test('control characters of a problem are made visible', () => {
  const refused = createRefusedReloads(() => 1);
  refused.reloaded('config', ['first\nsecond\u0007']);
  expect(refused.list()[0]?.problems).toEqual([`first\n${String.raw`second\u{7}`}`]);
});
