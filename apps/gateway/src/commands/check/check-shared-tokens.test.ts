import { expect, test } from 'vitest';
import { onOneLine } from '../../config/problems.ts';
import { sharedTokenPrefixes, sharedTokenStores } from './check-shared-tokens.ts';

const named = (...prefixes: unknown[]) =>
  prefixes.map((tokenPrefix, index) => ({ name: 'abc'.charAt(index), tokenPrefix }));

test('equal prefixes are warned of', () => {
  expect(sharedTokenPrefixes(named('slp_', 'slp_')).map(onOneLine)).toEqual([
    'a and b: tokens of both begin with slp_, so each token of one is also sent to the other, for nothing; ' +
      'and if a refuses tokens that it does not know, b is never asked: give each a tokenPrefix of its own',
  ]);
});

test.each([
  { first: 'slp_', second: 'slp_ci_' },
  { first: 'slp_ci_', second: 'slp_' },
])('$first and $second, of which one begins with the other, are warned of', ({ first, second }) => {
  expect(sharedTokenPrefixes(named(first, second)).map(onOneLine)).toEqual([
    expect.stringContaining(`a and b: their tokens begin with ${first} and ${second}, and one of`),
  ]);
});

test('each two of three are warned of', () => {
  const pairs = sharedTokenPrefixes(named('x', 'x', 'x')).map(
    ({ message }) => message.split(':')[0],
  );
  expect(pairs).toEqual(['a and b', 'a and c', 'b and c']);
});

test.each([
  { prefixes: ['slp_a', 'slp_b'] },
  { prefixes: ['slp_', undefined, undefined] },
  { prefixes: ['', '', 'slp_'] },
  { prefixes: [1, 1, {}] },
])('nothing is said of $prefixes', ({ prefixes }) => {
  expect(sharedTokenPrefixes(named(...prefixes))).toEqual([]);
});

test('authenticators that have the records of their tokens in one place are named with their lines', () => {
  const stored = (...stores: unknown[]) =>
    stores.map((tokenStore, index) => ({
      name: 'abc'.charAt(index),
      place: `gateway.yaml:${index + 1}`,
      tokenStore,
    }));
  expect(
    sharedTokenStores(
      stored('redis://a, keys t:*', 'redis://a, keys s:*', 'redis://a, keys t:*'),
    ).map(onOneLine),
  ).toEqual([
    expect.stringMatching(
      /^a \(gateway\.yaml:1\) and c \(gateway\.yaml:3\) store .* in one place \(redis:\/\/a, keys t:\*\), .*such as another keyPrefix/,
    ),
  ]);
  expect(sharedTokenStores(stored(undefined, undefined))).toEqual([]);
  expect(sharedTokenStores(stored('', ''))).toEqual([]);
  expect(sharedTokenStores(stored(1, 1))).toEqual([]);
});
