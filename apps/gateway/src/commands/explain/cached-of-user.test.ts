import { expect, test } from 'vitest';
import { cachedLines } from './cached-of-user.ts';

const problem = 'the config has no cache.redis';
const looked = { authenticator: 'corp', reason: 'corp:jane', tokens: null, account: null };
const unchecked = { ...looked, answer: 'could not be checked' } as const;

test.each([
  ["can't be asked now", unchecked],
  ['answers, but could not check corp:jane', { ...unchecked, isOfUser: true }],
  [
    'answers, but could not check corp:jane',
    {
      ...looked,
      answer: 'known',
      account: 'could not be checked: pwdChangedTime is no time',
    } as const,
  ],
])('corp %s', (words, one) => {
  expect(cachedLines('corp:jane', [{ authenticator: 'corp', problem }], [one])).toEqual([
    `corp ${words}. What the gateways have cached of corp:jane is not known, since ${problem}`,
  ]);
});
