import type { Authenticator, LoggedIn } from '../authenticator.ts';
import type { UserInfo } from '../decision.ts';
import { wholeUser } from './identity.ts';
import type { CaseDefinition, Kit } from './kit.ts';
import {
  abortedCase,
  abortedHangingCase,
  apartCase,
  nameOf,
  namesOfNoOne,
  outageCase,
  outcomeAbout,
  secrecyCase,
  type UserMethod,
} from './user-calls.ts';
import { type Outcome, verify } from './verdict.ts';

const lookUp = {
  name: 'lookUp',
  call: async (authenticator, { username }, context) => await authenticator.lookUp?.(username, context),
} satisfies UserMethod;

const signal = new AbortController().signal;

function ask(kit: Kit, authenticator: Authenticator, user: LoggedIn): Promise<Outcome<UserInfo | undefined>> {
  return outcomeAbout(kit, lookUp, user, () => lookUp.call(authenticator, user, { signal }));
}

/** @param user undefined: no one must be found */
function mustFind(kit: Kit, asked: LoggedIn, user: UserInfo | undefined, outcome: Outcome<UserInfo | undefined>): void {
  const { value } = 'value' in outcome ? outcome : { value: undefined };
  const isRight = 'value' in outcome && (user ? value && wholeUser(value) === wholeUser(user) : value === undefined);
  verify(isRight, {
    expected: `lookUp() of ${nameOf(asked)} to ${user ? `find ${kit.show(user)}` : 'find no one'}`,
    got: 'error' in outcome ? `it threw ${kit.show(outcome.error)}` : `the answer was ${kit.show(value)}`,
    why: user
      ? 'The operator would look for the cause in the wrong place: these are the names that a token gives.'
      : 'A name without a user is undefined; a throw says that the backend is down.',
  });
}

const known: CaseDefinition = {
  name: 'lookUp() finds the users of valid tokens, as their tokens give them',
  needs: 'lookUp',
  async run(kit) {
    const authenticator = await kit.create();
    for (const { user } of kit.tokens.valid) mustFind(kit, user, user, await ask(kit, authenticator, user));
  },
};

const unknown: CaseDefinition = {
  name: 'lookUp() finds no one by a name that no user has, and never throws',
  needs: 'lookUp',
  async run(kit) {
    const authenticator = await kit.create();
    for (const user of namesOfNoOne(kit)) mustFind(kit, user, undefined, await ask(kit, authenticator, user));
  },
};

export const lookUpCases: readonly CaseDefinition[] = [
  known,
  unknown,
  apartCase(lookUp, ask, (kit, { asked, user }, outcome) => mustFind(kit, asked, user, outcome)),
  abortedCase(lookUp),
  abortedHangingCase(lookUp),
  outageCase(lookUp),
  secrecyCase(lookUp),
];
