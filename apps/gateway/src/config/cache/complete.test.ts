import { describe, expect, test } from 'vitest';
import { completeCache } from './complete.ts';

const file = { authenticatedTtl: 300_000, rejectedTtl: 30_000, unknownTtl: 10_000, staleTtl: 600_000 };
const short = { authenticatedTtl: 5_000, rejectedTtl: 5_000, unknownTtl: 5_000, staleTtl: 600_000 };

describe('how the answers of one authenticator are kept', () => {
  test.each([
    ['none', undefined, 'off'],
    ['none', 'off', 'off'],
    ['none', {}, 'off'],
    ['none', { store: 'shared' }, { ...file, store: 'shared' }],
    ['none', { store: 'memory', unknownTtl: 1 }, { ...file, store: 'memory', unknownTtl: 1 }],
    ['memory', undefined, { ...short, store: 'memory' }],
    ['memory', 'off', 'off'],
    ['memory', { store: 'shared' }, { ...short, store: 'shared' }],
    ['memory', { authenticatedTtl: 60_000 }, { ...short, store: 'memory', authenticatedTtl: 60_000 }],
    ['memory', { rejectedTtl: 60_000 }, { ...short, store: 'memory', rejectedTtl: 60_000 }],
    ['memory', { unknownTtl: 60_000 }, { ...short, store: 'memory', unknownTtl: 60_000 }],
    ['memory', { staleTtl: 0 }, { ...short, store: 'memory', staleTtl: 0 }],
    ['shared', undefined, { ...file, store: 'shared' }],
    ['shared', 'off', 'off'],
    ['shared', { store: 'memory' }, { ...file, store: 'memory' }],
    [
      'shared',
      { authenticatedTtl: 1, rejectedTtl: 2, unknownTtl: 3, staleTtl: 0 },
      { store: 'shared', authenticatedTtl: 1, rejectedTtl: 2, unknownTtl: 3, staleTtl: 0 },
    ],
  ] as const)('with caching %s and cache: %j', (caching, own, expected) => {
    expect(completeCache(own, caching, file)).toEqual(expected);
  });

  test('for a plugin with caching memory the file’s holds where it is shorter', () => {
    const seconds = { authenticatedTtl: 4_999, rejectedTtl: 1, unknownTtl: 2, staleTtl: 0 };
    expect(completeCache(undefined, 'memory', seconds)).toEqual({ ...seconds, store: 'memory' });
  });
});
