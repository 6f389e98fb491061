import { expect, test } from 'vitest';
import { endOfKey } from './end-of-key.ts';

const asked = Date.UTC(2026, 5, 1);

test.each([
  ['never, when there is none', -1, undefined],
  ['that far behind the question', 1_500, asked + 1_500],
  ['at the question, when it is over in this millisecond', 0, asked],
  ['at the question, when the key is gone', -2, asked],
  ['at the question, when Redis answers what it never does', -3, asked],
  ['at the question, when it is no number', 'OK', asked],
  ['at the question, when it is nothing', null, asked],
  ['at the question, when it is an error', new Error('NOPERM'), asked],
  ['at the question, when it was not answered', undefined, asked],
])('the end of a key lies %s', (_, timeToLive, end) => {
  expect(endOfKey(timeToLive, asked)).toBe(end);
});
