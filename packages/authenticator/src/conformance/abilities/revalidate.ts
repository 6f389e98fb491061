import { randomUUID } from 'node:crypto';
import type { LoggedIn } from '../../authenticator.ts';
import type { Decision, RejectionReason, UserInfo } from '../../decision.ts';
import { describeOutcome } from '../authenticator/outages.ts';
import {
  describeAuthenticatedProblem,
  fieldsOfRejected,
  isAbout,
} from '../authenticator/shapes.ts';
import type { CaseDefinition, Kit } from '../kit.ts';
import { verifySome } from '../samples.ts';
import { type CallResult, verify } from '../verify.ts';
import {
  knownUsers,
  makeUnknownNames,
  quoteName,
  type UserMethod,
  userCases,
  usersCase,
} from './user-directory.ts';

type RevalidateOutcome = CallResult<Decision | undefined>;

export function mustStay(kit: Kit, user: UserInfo, outcome: RevalidateOutcome): void {
  verify('value' in outcome && isAbout(outcome.value, user), () => ({
    expected: `revalidate() of ${quoteName(user)} to authenticate ${kit.show(user)}`,
    actual: describeOutcome(kit, outcome),
    rationale:
      'The groups of this answer replace those of the login, and any other name belongs to another session.',
  }));
}

/** Makes a check that a user is refused for this reason. */
export const mustRefuse =
  (reason: RejectionReason, rationale: string) =>
  (kit: Kit, user: LoggedIn, outcome: RevalidateOutcome): void => {
    const decision = 'value' in outcome ? outcome.value : undefined;
    verify(decision?.kind === 'rejected' && decision.reason === reason, () => ({
      expected: `revalidate() of ${quoteName(user)} to be rejected as ${reason}`,
      actual: describeOutcome(kit, outcome),
      rationale,
    }));
  };

type RefusedUser = LoggedIn & { readonly reason: RejectionReason };

/** Makes a check that a user is refused for the reason that the harness gives. */
export const mustRefuseAsListed =
  (rationale: string) =>
  (kit: Kit, { reason, ...user }: RefusedUser, outcome: RevalidateOutcome): void =>
    mustRefuse(reason, rationale)(kit, user, outcome);

const mustNotMixUp = mustRefuse(
  'unknown-user',
  'State that calls share lets one user in as another.',
);

export const revalidateMethod: UserMethod<Decision | undefined> = {
  name: 'revalidate',
  call: async (authenticator, { username, uid }, { since = new Date(), ...context }) =>
    await authenticator.revalidate?.(
      { username, ...(uid !== undefined && { uid }) },
      { ...context, since },
    ),
  verifyAnswer(kit, askedUser, user, outcome) {
    if (user) mustStay(kit, user, outcome);
    else mustNotMixUp(kit, askedUser, outcome);
  },
};

export function usersWithOtherUid(kit: Kit): readonly LoggedIn[] {
  const users = knownUsers(kit).filter(({ uid }) => uid !== undefined);
  verifySome(users, 'valid tokens of users with a uid');
  return users.flatMap(({ username, uid = '' }) =>
    [randomUUID(), `${uid}x`, uid.slice(0, -1), '*'].map((otherUid) => ({
      username,
      uid: otherUid,
    })),
  );
}

/** Returns the users that must be refused. @throws AssertionError when the harness gives none */
export function listRefused({ harness: { revalidation } }: Kit): readonly RefusedUser[] {
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

function describeProblem(decision: Decision | undefined, now: number): string | undefined {
  if (decision?.kind === 'authenticated') return describeAuthenticatedProblem(decision, now);
  if (decision?.kind !== 'rejected') return 'its kind is neither authenticated nor rejected';
  if (!reasons.includes(decision.reason)) return `its reason is none of ${reasons.join(', ')}`;
  const unknownField = Object.keys(decision).find((key) => !fieldsOfRejected.includes(key));
  return unknownField && `it has a field "${unknownField}" that the contract does not have`;
}

function mustBeWellFormed(kit: Kit, user: LoggedIn, outcome: RevalidateOutcome): void {
  const problem =
    'error' in outcome ? 'it is not an answer' : describeProblem(outcome.value, Date.now());
  verify(problem === undefined, () => ({
    expected: `a decision of revalidate() about ${quoteName(user)}`,
    actual: `${describeOutcome(kit, outcome)}: ${problem}`,
    rationale:
      'The gateway treats any other answer as an outage, and text of a backend must not reach logs.',
  }));
}

export const revalidateCases: readonly CaseDefinition[] = [
  usersCase(
    revalidateMethod,
    'revalidate() lets the users of valid tokens stay, as their tokens give them',
    knownUsers,
    mustStay,
  ),
  usersCase(
    revalidateMethod,
    'revalidate() refuses a name that no user has as unknown-user, and never throws',
    makeUnknownNames,
    mustRefuse(
      'unknown-user',
      'A throw is an outage, during which a session continues; no-opinion decides nothing about a session.',
    ),
  ),
  usersCase(
    revalidateMethod,
    'revalidate() refuses a user with another uid as unknown-user',
    usersWithOtherUid,
    mustRefuse(
      'unknown-user',
      'The name was given to another person, who must not get the session of the first.',
    ),
  ),
  usersCase(
    revalidateMethod,
    'revalidate() refuses users that the backend does not let in, with the reason',
    listRefused,
    mustRefuseAsListed(
      'A user whom the backend shuts out must not stay in until the session ends.',
    ),
  ),
  usersCase(
    revalidateMethod,
    'revalidate() refuses a login from before the password was changed',
    knownUsers,
    mustRefuse(
      'password-changed',
      'A password is changed to shut out others who know it. Skip the case if the backend has no time of the change.',
    ),
    [new Date(0)],
  ),
  usersCase(
    revalidateMethod,
    'revalidate() decides in the words of the contract, and never without an opinion',
    (kit): readonly LoggedIn[] => [
      ...knownUsers(kit),
      ...makeUnknownNames(kit),
      ...listRefused(kit),
    ],
    mustBeWellFormed,
    [undefined, new Date(0)],
  ),
  ...userCases(revalidateMethod),
];
