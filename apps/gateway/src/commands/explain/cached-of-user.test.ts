import { expect, test } from 'vitest';
import { cachedLines } from './cached-of-user.ts';

const problem = 'the config has no cache.redis';
const looked = { authenticator: 'corp', reason: 'corp:jane', tokens: null, account: null };
const unchecked = { ...looked, answer: 'could not be checked' } as const;

test.each([
  { words: "can't be asked now", user: unchecked },
  { words: 'answers, but could not check corp:jane', user: { ...unchecked, isOfUser: true } },
  {
    words: 'answers, but could not check corp:jane',
    user: {
      ...looked,
      answer: 'known',
      account: 'could not be checked: pwdChangedTime is no time',
    } as const,
  },
])('what is cached is not known while corp $words', ({ words, user }) => {
  expect(cachedLines('corp:jane', [{ authenticator: 'corp', problem }], [user])).toEqual([
    `corp ${words}. What the gateways have cached of corp:jane is not known, since ${problem}`,
  ]);
});
