import { randomUUID } from 'node:crypto';
import type { Authenticator, LoggedIn } from '../authenticator.ts';
import type { Decision, RejectionReason, UserInfo } from '../decision.ts';
import { problemOfAuthenticated, wholeUser } from './identity.ts';
import { type CaseDefinition, type Kit, verifySome } from './kit.ts';
import {
  abortedCase,
  abortedHangingCase,
  apartCase,
  knownUsers,
  nameOf,
  namesOfNoOne,
  outageCase,
  outcomeAbout,
  secrecyCase,
  type UserMethod,
} from './user-calls.ts';
import { type Outcome, verify } from './verdict.ts';

const revalidate: UserMethod = { name: 'revalidate', call: (...call) => revalidateSince(new Date(), ...call) };

async function revalidateSince(
  since: Date,
  authenticator: Authenticator,
  { username, uid }: LoggedIn,
  context: Parameters<UserMethod['call']>[2],
): Promise<Decision | undefined> {
  return await authenticator.revalidate?.({ username, ...(uid !== undefined && { uid }) }, { ...context, since });
}

const signal = new AbortController().signal;

type Answer = Outcome<Decision | undefined>;

function ask(kit: Kit, authenticator: Authenticator, user: LoggedIn, since = new Date()): Promise<Answer> {
  return outcomeAbout(kit, revalidate, user, () => revalidateSince(since, authenticator, user, { signal }));
}

const gotOf = (kit: Kit, outcome: Answer): string =>
  'error' in outcome ? `it threw ${kit.show(outcome.error)}` : `the answer was ${kit.show(outcome.value)}`;

function mustStay(kit: Kit, user: UserInfo, outcome: Answer): void {
  const decision = 'value' in outcome ? outcome.value : undefined;
  verify(decision?.kind === 'authenticated' && wholeUser(decision.user) === wholeUser(user), {
    expected: `revalidate() of ${nameOf(user)} to authenticate ${kit.show(user)}`,
    got: gotOf(kit, outcome),
    why: 'The groups of this answer replace those of the login, and any other name belongs to another session.',
  });
}

function mustRefuse(kit: Kit, user: LoggedIn, reason: RejectionReason, outcome: Answer, why: string): void {
  const decision = 'value' in outcome ? outcome.value : undefined;
  verify(decision?.kind === 'rejected' && decision.reason === reason, {
    expected: `revalidate() of ${nameOf(user)} to be rejected as ${reason}`,
    got: gotOf(kit, outcome),
    why,
  });
}

const staying: CaseDefinition = {
  name: 'revalidate() lets the users of valid tokens stay, as their tokens give them',
  needs: 'revalidate',
  async run(kit) {
    const authenticator = await kit.create();
    for (const { user } of kit.tokens.valid) mustStay(kit, user, await ask(kit, authenticator, user));
  },
};

const unknown: CaseDefinition = {
  name: 'revalidate() refuses a name that no user has as unknown-user, and never throws',
  needs: 'revalidate',
  async run(kit) {
    const authenticator = await kit.create();
    const why = 'A throw is an outage, during which a session goes on; no-opinion is no answer to a session.';
    for (const user of namesOfNoOne(kit)) {
      mustRefuse(kit, user, 'unknown-user', await ask(kit, authenticator, user), why);
    }
  },
};

const otherUid: CaseDefinition = {
  name: 'revalidate() refuses a user with another uid as unknown-user',
  needs: 'revalidate',
  async run(kit) {
    const users = knownUsers(kit).filter(({ uid }) => uid !== undefined);
    verifySome(users, 'valid tokens of users with a uid');
    const authenticator = await kit.create();
    const why = 'The name was given to another person, who must not get the session of the first.';
    for (const { username, uid = '' } of users) {
      for (const wrong of [randomUUID(), `${uid}x`, uid.slice(0, -1), '*']) {
        const user = { username, uid: wrong };
        mustRefuse(kit, user, 'unknown-user', await ask(kit, authenticator, user), why);
      }
    }
  },
};

const refused: CaseDefinition = {
  name: 'revalidate() refuses users whom the backend does not let in, with the reason',
  needs: 'revalidate',
  async run(kit) {
    const samples = refusedOf(kit);
    verifySome(samples, 'revalidation.refused');
    const authenticator = await kit.create();
    const why = 'Whoever was shut out there must not stay in here until the session ends.';
    for (const { user, reason } of samples) mustRefuse(kit, user, reason, await ask(kit, authenticator, user), why);
  },
};

const changedPassword: CaseDefinition = {
  name: 'revalidate() refuses a login from before the password was changed',
  needs: 'revalidate',
  async run(kit) {
    const authenticator = await kit.create();
    const why =
      'A password is changed to shut out whoever knew it. Skip the case if the backend has no time of the change.';
    for (const user of knownUsers(kit)) {
      mustRefuse(kit, user, 'password-changed', await ask(kit, authenticator, user, new Date(0)), why);
    }
  },
};

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
  const unknownField = Object.keys(decision).find((key) => !['kind', 'reason', 'subject'].includes(key));
  return unknownField && `it has a field "${unknownField}" that the contract does not have`;
}

const wellFormed: CaseDefinition = {
  name: 'revalidate() decides in the words of the contract, and never without an opinion',
  needs: 'revalidate',
  async run(kit) {
    const authenticator = await kit.create();
    const users = [...knownUsers(kit), ...namesOfNoOne(kit), ...refusedOf(kit).map(({ user }) => user)];
    for (const user of users) {
      for (const since of [new Date(), new Date(0)]) {
        const outcome = await ask(kit, authenticator, user, since);
        const problem = 'error' in outcome ? 'it is no answer' : problemOf(outcome.value, Date.now());
        verify(problem === undefined, {
          expected: `a decision of revalidate() about ${nameOf(user)}`,
          got: `${gotOf(kit, outcome)}: ${problem}`,
          why: 'The gateway treats any other answer as an outage, and text of a backend must not reach logs.',
        });
      }
    }
  },
};

const apart = apartCase(revalidate, ask, (kit, { asked, user }, outcome) => {
  if (user) mustStay(kit, user, outcome);
  else mustRefuse(kit, asked, 'unknown-user', outcome, 'State that calls share lets one user in as another.');
});

function refusedOf({ harness }: Kit) {
  return harness.revalidation?.refused ?? [];
}

export const revalidationCases: readonly CaseDefinition[] = [
  staying,
  unknown,
  otherUid,
  refused,
  changedPassword,
  wellFormed,
  apart,
  abortedCase(revalidate),
  abortedHangingCase(revalidate),
  outageCase(revalidate),
  secrecyCase(revalidate),
];
