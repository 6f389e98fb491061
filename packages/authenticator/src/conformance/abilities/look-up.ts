import type { UserInfo } from '../../decision.ts';
import { describeOutcome } from '../authenticator/outages.ts';
import { wholeUser } from '../authenticator/shapes.ts';
import type { CaseDefinition } from '../kit.ts';
import { verify } from '../verify.ts';
import {
  knownUsers,
  makeUnknownNames,
  quoteName,
  type UserMethod,
  userCases,
  usersCase,
} from './user-directory.ts';

export const lookUpMethod: UserMethod<UserInfo | undefined> = {
  name: 'lookUp',
  call: async (authenticator, { username }, context) =>
    await authenticator.lookUp?.(username, context),
  verifyAnswer(kit, askedUser, user, outcome) {
    const account = 'value' in outcome ? outcome.value : undefined;
    verify(
      'value' in outcome &&
        (user ? account && wholeUser(account) === wholeUser(user) : account === undefined),
      () => ({
        expected: `lookUp() of ${quoteName(askedUser)} to ${user ? `find ${kit.show(user)}` : 'find no one'}`,
        actual: describeOutcome(kit, outcome),
        rationale: user
          ? 'The operator would look for the cause in the wrong place: these are the names that a token gives.'
          : 'A name without a user is undefined; a throw says that the backend is down.',
      }),
    );
  },
};

export const lookUpCases: readonly CaseDefinition[] = [
  usersCase(
    lookUpMethod,
    'lookUp() finds the users of valid tokens, as their tokens give them',
    knownUsers,
    (kit, user, outcome) => lookUpMethod.verifyAnswer(kit, user, user, outcome),
  ),
  usersCase(
    lookUpMethod,
    'lookUp() finds no one by a name that no user has, and never throws',
    makeUnknownNames,
    (kit, askedUser, outcome) => lookUpMethod.verifyAnswer(kit, askedUser, undefined, outcome),
  ),
  ...userCases(lookUpMethod),
];
