import { expect, test } from 'vitest';
import { nearest } from './nearest.ts';

const known = ['listen', 'maxInFlight', 'maxTokenSize', 'tls'];

test.each([
  ['lisen', 'listen'],
  ['Listen', 'listen'],
  ['max_in_flight', 'maxInFlight'],
  ['maxInflights', 'maxInFlight'],
  ['maxTokensize', 'maxTokenSize'],
  ['tsl', 'tls'],
  ['slt', undefined],
  ['maxInFilght', 'maxInFlight'],
  ['ilsten', 'listen'],
  ['tlss', 'tls'],
  ['cache', undefined],
  ['', undefined],
])('%s means %s', (word, expected) => {
  expect(nearest(word, known)).toBe(expected);
});

test('without candidates there is none', () => {
  expect(nearest('x', [])).toBeUndefined();
});
