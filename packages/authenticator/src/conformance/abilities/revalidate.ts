import { randomUUID } from 'node:crypto';
import type { LoggedIn } from '../../authenticator.ts';
import type { Decision, RejectionReason, UserInfo } from '../../decision.ts';
import { gotOf } from '../authenticator/outages.ts';
import { fieldsOfRejected, isAbout, problemOfAuthenticated } from '../authenticator/shapes.ts';
import type { CaseDefinition, Kit } from '../kit.ts';
import { verifySome } from '../samples.ts';
import { type Outcome, verify } from '../verify.ts';
import {
  knownUsers,
  nameOf,
  namesOfNoOne,
  type UserMethod,
  userCases,
  usersCase,
} from './user-directory.ts';

type Answer = Outcome<Decision | undefined>;

export function mustStay(kit: Kit, user: UserInfo, outcome: Answer): void {
  verify('value' in outcome && isAbout(outcome.value, user), () => ({
    expected: `revalidate() of ${nameOf(user)} to authenticate ${kit.show(user)}`,
    got: gotOf(kit, outcome),
    why: 'The groups of this answer replace those of the login, and any other name belongs to another session.',
  }));
}

export function mustRefuse(
  kit: Kit,
  user: LoggedIn,
  reason: RejectionReason,
  outcome: Answer,
  why: string,
): void {
  const decision = 'value' in outcome ? outcome.value : undefined;
  verify(decision?.kind === 'rejected' && decision.reason === reason, () => ({
    expected: `revalidate() of ${nameOf(user)} to be rejected as ${reason}`,
    got: gotOf(kit, outcome),
    why,
  }));
}

/** Makes a check that all users are refused for one reason. */
const mustAllRefuse =
  (reason: RejectionReason, why: string) => (kit: Kit, user: LoggedIn, outcome: Answer) =>
    mustRefuse(kit, user, reason, outcome, why);

export const revalidate: UserMethod<Decision | undefined> = {
  name: 'revalidate',
  call: async (authenticator, { username, uid }, { since = new Date(), ...context }) =>
    await authenticator.revalidate?.(
      { username, ...(uid !== undefined && { uid }) },
      { ...context, since },
    ),
  verifyAnswer(kit, asked, user, outcome) {
    if (user) mustStay(kit, user, outcome);
    else
      mustRefuse(
        kit,
        asked,
        'unknown-user',
        outcome,
        'State that calls share lets one user in as another.',
      );
  },
};

export function usersWithOtherUid(kit: Kit): readonly LoggedIn[] {
  const users = knownUsers(kit).filter(({ uid }) => uid !== undefined);
  verifySome(users, 'valid tokens of users with a uid');
  return users.flatMap(({ username, uid = '' }) =>
    [randomUUID(), `${uid}x`, uid.slice(0, -1), '*'].map((wrong) => ({ username, uid: wrong })),
  );
}

/** Returns the users that must be refused. @throws AssertionError when the harness gives none */
export function refusedOf({
  harness: { revalidation },
}: Kit): readonly (LoggedIn & { readonly reason: RejectionReason })[] {
  const { refused = [] } = revalidation ?? {};
  verifySome(refused, 'revalidation.refused');
  return refused.map(({ user, reason }) => ({ ...user, reason }));
}

const reasons: readonly RejectionReason[] = [
  'unknown-user',
  'disabled',
  'locked',
  'expired',
  'ambiguous',
  'password-expired',
  'password-changed',
];

function problemOf(decision: Decision | undefined, now: number): string | undefined {
  if (decision?.kind === 'authenticated') return problemOfAuthenticated(decision, now);
  if (decision?.kind !== 'rejected') return 'its kind is neither authenticated nor rejected';
  if (!reasons.includes(decision.reason)) return `its reason is none of ${reasons.join(', ')}`;
  const unknownField = Object.keys(decision).find((key) => !fieldsOfRejected.includes(key));
  return unknownField && `it has a field "${unknownField}" that the contract does not have`;
}

function mustBeWellFormed(kit: Kit, user: LoggedIn, outcome: Answer): void {
  const problem = 'error' in outcome ? 'it is not an answer' : problemOf(outcome.value, Date.now());
  verify(problem === undefined, () => ({
    expected: `a decision of revalidate() about ${nameOf(user)}`,
    got: `${gotOf(kit, outcome)}: ${problem}`,
    why: 'The gateway treats any other answer as an outage, and text of a backend must not reach logs.',
  }));
}

export const revalidateCases: readonly CaseDefinition[] = [
  usersCase(
    revalidate,
    'revalidate() lets the users of valid tokens stay, as their tokens give them',
    knownUsers,
    mustStay,
  ),
  usersCase(
    revalidate,
    'revalidate() refuses a name that no user has as unknown-user, and never throws',
    namesOfNoOne,
    mustAllRefuse(
      'unknown-user',
      'A throw is an outage, during which a session continues; no-opinion decides nothing about a session.',
    ),
  ),
  usersCase(
    revalidate,
    'revalidate() refuses a user with another uid as unknown-user',
    usersWithOtherUid,
    mustAllRefuse(
      'unknown-user',
      'The name was given to another person, who must not get the session of the first.',
    ),
  ),
  usersCase(
    revalidate,
    'revalidate() refuses users that the backend does not let in, with the reason',
    refusedOf,
    (kit, { reason, ...user }, outcome) =>
      mustRefuse(
        kit,
        user,
        reason,
        outcome,
        'A user whom the backend shuts out must not stay in until the session ends.',
      ),
  ),
  usersCase(
    revalidate,
    'revalidate() refuses a login from before the password was changed',
    knownUsers,
    mustAllRefuse(
      'password-changed',
      'A password is changed to shut out others who know it. Skip the case if the backend has no time of the change.',
    ),
    [new Date(0)],
  ),
  usersCase(
    revalidate,
    'revalidate() decides in the words of the contract, and never without an opinion',
    (kit): readonly LoggedIn[] => [...knownUsers(kit), ...namesOfNoOne(kit), ...refusedOf(kit)],
    mustBeWellFormed,
    [undefined, new Date(0)],
  ),
  ...userCases(revalidate),
];
