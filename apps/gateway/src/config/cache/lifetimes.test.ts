import { describe, expect, test } from 'vitest';
import { folderWithProbe, pluginSource, problemsOf, yaml } from '../testing/config-folder.ts';
import { completeCache } from './lifetimes.ts';

const day =
  'write at most 24h (a revocation must be remembered for as long as an answer could be cached)';
const hour =
  'write at most 1h (a user who is let in again, or has a token that was tried before it was issued, waits that long)';
const zero =
  'must be more than 0: write 500ms or more, or cache: off at the authenticators whose answers are not to be cached';
const lifetimes = [
  { key: 'authenticatedTtl', max: '24h', more: '24h1ms', why: day },
  { key: 'rejectedTtl', max: '1h', more: '1h1ms', why: hour },
  { key: 'unknownTtl', max: '1h', more: '1h1ms', why: hour },
  { key: 'staleTtl', max: '24h', more: '24h1ms', why: day },
] as const;

/** A config with these lines of the file's `cache`, and of the one of its authenticator, whose plugin caches. */
function withCache(file: string, own?: string): string {
  return yaml({
    more: `cache: ${file}`,
    ...(own !== undefined && { authenticator: `    cache: ${own}` }),
  });
}

const caching = (where: string) => pluginSource('z.strictObject({})', `caching: '${where}',`);
const folderWithCaching = () => folderWithProbe(caching('shared'));
const problems = (text: string, where = 'shared') => problemsOf(text, caching(where));

describe('lifetimes of the file and of an authenticator', () => {
  test.each(lifetimes)('$key is at most $max', async ({ key, max, more, why }) => {
    await using folder = await folderWithCaching();
    const { cache, authenticators } = await folder.load(
      withCache(`{ ${key}: ${max} }`, `{ ${key}: ${max} }`),
    );
    const expected = max === '24h' ? 86_400_000 : 3_600_000;
    expect(cache[key]).toBe(expected);
    expect(authenticators[0]?.cache).toHaveProperty(key, expected);
    expect(await folder.problems(withCache(`{ ${key}: ${more} }`, `{ ${key}: ${more} }`))).toEqual([
      expect.stringContaining(`authenticators[0].cache.${key}: "${more}" is too long: ${why}`),
      expect.stringContaining(`: cache.${key}: "${more}" is too long: ${why}`),
    ]);
  });

  test.each(['authenticatedTtl', 'rejectedTtl', 'unknownTtl'])('%s is not 0', async (key) => {
    expect(await problems(withCache(`{ ${key}: 0 }`, `{ ${key}: 0s }`))).toEqual([
      expect.stringContaining(`authenticators[0].cache.${key}: ${zero}`),
      expect.stringContaining(`: cache.${key}: ${zero}`),
    ]);
  });

  test('staleTtl may be 0', async () => {
    await using folder = await folderWithCaching();
    expect(
      (await folder.load(withCache('{ staleTtl: 0 }'))).authenticators[0]?.cache,
    ).toHaveProperty('staleTtl', 0);
    const own = await folder.load(withCache('{}', '{ staleTtl: 0 }'));
    expect(own.authenticators[0]?.cache).toHaveProperty('staleTtl', 0);
    expect(own.cache.staleTtl).toBe(600_000);
  });
});

describe('an authenticator’s own', () => {
  test.each([
    {
      own: 'never',
      expected:
        '7:12: authenticators[0].cache: must be off, or keys and values such as { authenticatedTtl: 1m }',
    },
    { own: 'false', expected: '7:12: authenticators[0].cache: must be off, or keys and values' },
    { own: '[]', expected: '7:12: authenticators[0].cache: must be off, or keys and values' },
    { own: '', expected: 'authenticators[0].cache: is empty: give it a value, or remove the key' },
    {
      own: '{ store: redis }',
      expected: '7:21: authenticators[0].cache.store: must be memory or shared',
    },
    {
      own: '{ unknownTtl: 5 }',
      expected: '7:26: authenticators[0].cache.unknownTtl: "5" has no unit',
    },
    { own: '{ unknownTtl: }', expected: 'authenticators[0].cache.unknownTtl: must be a duration' },
    {
      own: '{ unknownTll: 5s }',
      expected: '7:14: authenticators[0].cache.unknownTll: unknown key: did you mean unknownTtl?',
    },
    {
      own: '{ memory: {} }',
      expected: 'authenticators[0].cache.memory: unknown key: move it to the section cache',
    },
  ])('$own', async ({ own, expected }) => {
    expect(await problems(withCache('{}', own))).toEqual([expect.stringContaining(expected)]);
  });
});

describe('the file’s', () => {
  test.each([
    { file: 'off', expected: '8:8: cache: must be keys and values' },
    {
      file: '{ store: memory }',
      expected: '8:10: cache.store: unknown key: remove it, or write one of: authenticatedTtl, ',
    },
    {
      file: '{ rejectedTll: 1s }',
      expected: '8:10: cache.rejectedTll: unknown key: did you mean rejectedTtl?',
    },
    {
      file: '{ memory: { maxEntires: 1000 } }',
      expected: '8:20: cache.memory.maxEntires: unknown key: did you mean maxEntries?',
    },
    {
      file: '{ memory: { maxEntries: 99 } }',
      expected: '8:32: cache.memory.maxEntries: must be a whole number from 100 to 10000000',
    },
    {
      file: '{ memory: { maxEntries: 10000001 } }',
      expected: '8:32: cache.memory.maxEntries: must be a whole number from 100 to 10000000',
    },
    {
      file: '{ memory: { maxEntries: 100.5 } }',
      expected: '8:32: cache.memory.maxEntries: must be a whole number',
    },
  ])('$file', async ({ file, expected }) => {
    expect(await problems(withCache(file))).toEqual([expect.stringContaining(expected)]);
  });

  test.each([100, 10_000_000])('takes maxEntries of %i', async (maxEntries) => {
    await using folder = await folderWithCaching();
    expect(
      (await folder.load(withCache(`{ memory: { maxEntries: ${maxEntries} } }`))).cache.memory,
    ).toEqual({
      maxEntries,
    });
  });
});

describe('a cache that would do nothing', () => {
  const idle =
    '7:12: authenticators[0].cache: authenticator probe (probe.js): the answers of its plugin are not cached unless store says where: add store: memory, or remove cache';

  test.each(['{}', '{ authenticatedTtl: 1m }'])('is reported: %s', async (own) => {
    expect(await problems(withCache('{}', own), 'none')).toEqual([`gateway.yaml:${idle}`]);
  });

  test('is reported together with other problems, and not with a mistyped store', async () => {
    expect(await problems(withCache('{ staleTtl: 1 }', '{ unknownTtl: 1 }'), 'none')).toEqual([
      expect.stringContaining('authenticators[0].cache: authenticator probe'),
      expect.stringContaining('authenticators[0].cache.unknownTtl: "1" has no unit'),
      expect.stringContaining(': cache.staleTtl: "1" has no unit'),
    ]);
    expect(await problems(withCache('{}', '{ stor: memory }'), 'none')).toEqual([
      expect.stringContaining('did you mean store?'),
    ]);
  });

  test('is none where its plugin caches', async () => {
    await using folder = await folderWithCaching();
    const { authenticators } = await folder.load(withCache('{}', '{}'));
    expect(authenticators[0]?.cache).toMatchObject({ store: 'shared' });
  });
});

const ofFile = {
  authenticatedTtl: 300_000,
  rejectedTtl: 30_000,
  unknownTtl: 10_000,
  staleTtl: 600_000,
};
const short = { authenticatedTtl: 5_000, rejectedTtl: 5_000, unknownTtl: 5_000, staleTtl: 600_000 };

describe('how the answers of one authenticator are cached', () => {
  test.each([
    { caching: 'none', own: undefined, expected: 'off' },
    { caching: 'none', own: 'off', expected: 'off' },
    { caching: 'none', own: {}, expected: 'off' },
    { caching: 'none', own: { store: 'shared' }, expected: { ...ofFile, store: 'shared' } },
    {
      caching: 'none',
      own: { store: 'memory', unknownTtl: 1 },
      expected: { ...ofFile, store: 'memory', unknownTtl: 1 },
    },
    { caching: 'memory', own: undefined, expected: { ...short, store: 'memory' } },
    { caching: 'memory', own: 'off', expected: 'off' },
    { caching: 'memory', own: { store: 'shared' }, expected: { ...short, store: 'shared' } },
    {
      caching: 'memory',
      own: { authenticatedTtl: 60_000 },
      expected: { ...short, store: 'memory', authenticatedTtl: 60_000 },
    },
    {
      caching: 'memory',
      own: { rejectedTtl: 60_000 },
      expected: { ...short, store: 'memory', rejectedTtl: 60_000 },
    },
    {
      caching: 'memory',
      own: { unknownTtl: 60_000 },
      expected: { ...short, store: 'memory', unknownTtl: 60_000 },
    },
    {
      caching: 'memory',
      own: { staleTtl: 0 },
      expected: { ...short, store: 'memory', staleTtl: 0 },
    },
    { caching: 'shared', own: undefined, expected: { ...ofFile, store: 'shared' } },
    { caching: 'shared', own: 'off', expected: 'off' },
    { caching: 'shared', own: { store: 'memory' }, expected: { ...ofFile, store: 'memory' } },
    {
      caching: 'shared',
      own: { authenticatedTtl: 1, rejectedTtl: 2, unknownTtl: 3, staleTtl: 0 },
      expected: {
        store: 'shared',
        authenticatedTtl: 1,
        rejectedTtl: 2,
        unknownTtl: 3,
        staleTtl: 0,
      },
    },
  ] as const)('with caching $caching and cache: $own', ({ caching, own, expected }) => {
    expect(completeCache(own, caching, ofFile)).toEqual(expected);
  });

  test('for a plugin with caching memory the file’s holds where it is shorter', () => {
    const seconds = { authenticatedTtl: 4_999, rejectedTtl: 1, unknownTtl: 2, staleTtl: 0 };
    expect(completeCache(undefined, 'memory', seconds)).toEqual({ ...seconds, store: 'memory' });
  });
});
