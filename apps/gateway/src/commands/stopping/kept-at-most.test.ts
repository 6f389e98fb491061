import { expect, test } from 'vitest';
import { keptAtMost } from './kept-at-most.ts';

const cache = { store: 'memory', authenticatedTtl: 10, staleTtl: 5, rejectedTtl: 2, unknownTtl: 3 } as const;

test('as long as the longest that any answer is kept, and an hour', () => {
  const hour = 3_600_000;
  expect(keptAtMost([{ cache: 'off' }])).toBe(hour);
  expect(keptAtMost([{ cache: 'off' }, { cache }, { cache: { ...cache, staleTtl: 0 } }])).toBe(hour + 15);
  expect(keptAtMost([{ cache: { ...cache, rejectedTtl: 20 } }])).toBe(hour + 20);
  expect(keptAtMost([{ cache: { ...cache, unknownTtl: 30 } }])).toBe(hour + 30);
});
