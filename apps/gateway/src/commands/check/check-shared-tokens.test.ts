import { expect, test } from 'vitest';
import { wholeDetail } from '../finding.ts';
import { checkTokenPrefixes, checkTokenStores } from './check-shared-tokens.ts';

const config = (index: number) => ({
  name: 'abc'.charAt(index),
  problem: () => ({ file: 'gateway.yaml', line: index + 1, path: '', message: '' }),
});
const prefixed = (...prefixes: unknown[]) =>
  prefixes.map((tokenPrefix, index) => ({
    config: config(index),
    authenticator: { tokenPrefix },
  }));

test('equal prefixes are warned of', () => {
  expect(checkTokenPrefixes(prefixed('slp_', 'slp_')).map(wholeDetail)).toEqual([
    'a and b: tokens of both begin with slp_, so each token of one is also sent to the other, for nothing; ' +
      'and if a refuses tokens that it does not know, b is never asked: give each a tokenPrefix of its own',
  ]);
});

test.each([
  { first: 'slp_', second: 'slp_ci_' },
  { first: 'slp_ci_', second: 'slp_' },
])('$first and $second, of which one begins with the other, are warned of', ({ first, second }) => {
  expect(checkTokenPrefixes(prefixed(first, second)).map(wholeDetail)).toEqual([
    expect.stringContaining(`a and b: their tokens begin with ${first} and ${second}, and one of`),
  ]);
});

test('each two of three are warned of', () => {
  const pairs = checkTokenPrefixes(prefixed('x', 'x', 'x')).map(
    ({ detail }) => detail.split(':')[0],
  );
  expect(pairs).toEqual(['a and b', 'a and c', 'b and c']);
});

test.each([
  { prefixes: ['slp_a', 'slp_b'] },
  { prefixes: ['slp_', undefined, undefined] },
  { prefixes: ['', '', 'slp_'] },
  { prefixes: [1, 1, {}] },
])('nothing is said of $prefixes', ({ prefixes }) => {
  expect(checkTokenPrefixes(prefixed(...prefixes))).toEqual([]);
});

test('authenticators that have the records of their tokens in one place are named with their lines', () => {
  const stored = (...stores: unknown[]) =>
    stores.map((tokenStore, index) => ({
      config: config(index),
      authenticator: { tokenStore },
    }));
  expect(
    checkTokenStores(
      stored('redis://a, keys t:*', 'redis://a, keys s:*', 'redis://a, keys t:*'),
    ).map(wholeDetail),
  ).toEqual([
    expect.stringMatching(
      /^a \(gateway\.yaml:1\) and c \(gateway\.yaml:3\) store .* in one place \(redis:\/\/a, keys t:\*\), .*such as another keyPrefix/,
    ),
  ]);
  expect(checkTokenStores(stored(undefined, undefined))).toEqual([]);
  expect(checkTokenStores(stored('', ''))).toEqual([]);
  expect(checkTokenStores(stored(1, 1))).toEqual([]);
});
