import { describeCause } from '../../config/problems.ts';
import type { GatewayConfig } from '../../config/types.ts';
import { type FactorRecord, listedFactors } from '../../login/factors/factor-record.ts';
import { createFactorPolicy, hadFactor } from '../../login/factors/policy.ts';
import { areCodesLocked } from '../../login/factors/second-factor.ts';
import type { CommandContext } from '../context.ts';
import { withFactorStore, withSecondFactor } from '../factors/open-factors.ts';
import type { Person } from '../factors/people.ts';
import {
  factorCount,
  invitationText,
  openInvitation,
  recordJson,
} from '../factors/record-texts.ts';
import { findUserRecords, type UserRecords } from '../factors/user-records.ts';
import type { SeenToken } from '../issuer.ts';
import { commandLine, userWords } from '../printed-commands.ts';
import type { Reading } from '../users/user-facts.ts';

/** The second factor of a user at one authenticator. */
interface FactorOfUser {
  readonly authenticator: string;
  readonly isRequired: boolean;
  /** Undefined: there is none. */
  readonly record: FactorRecord | undefined;
  /** A record is there that no gateway with these sealing keys wrote for this user. */
  readonly isForeign: boolean;
  /** The groups of the user are not known, and a second factor may be required by them. */
  readonly isGuess?: true;
}

/** What is known of the second factors of a user. Undefined: the config has none. */
export type FactorsOfUser = Reading<readonly FactorOfUser[]> | undefined;

/** Reads the second factors of a user. It never throws. @param name as Kubernetes sees it */
export async function readFactors(
  context: CommandContext,
  config: GatewayConfig,
  name: string,
): Promise<FactorsOfUser> {
  const withFactor = withSecondFactor(config);
  if (withFactor === undefined) return undefined;
  const { isCovered, isRequired } = createFactorPolicy(withFactor.login);
  try {
    const userRecords = await withFactorStore(context, withFactor, (store) =>
      findUserRecords(context, withFactor, store, name),
    );
    const covered = userRecords.search.people.filter(({ user }) => isCovered(user.authenticator));
    const factorsOfPeople = covered.map((person) => ({
      authenticator: person.user.authenticator,
      isRequired: isRequired(person.user.authenticator, person.groups),
      ...findRecord(userRecords, person),
    }));
    return {
      value: [...factorsOfPeople, ...findFactorsWithoutPerson(userRecords, covered, isRequired)],
    };
  } catch (error) {
    return { problem: describeCause(error) };
  }
}

function findRecord({ records }: UserRecords, { user }: Person) {
  const userRecord = records.find(
    ({ identity }) => identity.authenticator === user.authenticator && identity.uid === user.uid,
  );
  return {
    record: userRecord?.record,
    isForeign: userRecord !== undefined && userRecord.record === undefined,
  };
}

/** The records of users that no directory has now, and of users whose directory can't be asked. */
function findFactorsWithoutPerson(
  { records }: UserRecords,
  covered: readonly Person[],
  isRequired: (authenticator: string) => boolean,
): readonly FactorOfUser[] {
  const authenticatorsWithPerson = new Set(covered.map(({ user }) => user.authenticator));
  return records
    .filter(({ identity: { authenticator } }) => !authenticatorsWithPerson.has(authenticator))
    .map(({ identity: { authenticator }, record }) => ({
      authenticator,
      isRequired: isRequired(authenticator),
      record,
      isForeign: record === undefined,
      isGuess: true,
    }));
}

/** Describes the second factors of a user, with the commands that change them. */
export function factorLines(
  context: CommandContext,
  name: string,
  factors: FactorsOfUser,
  isExact: boolean,
): readonly string[] {
  if (factors === undefined) return [];
  if ('problem' in factors) return [`second factor: not known, since ${factors.problem}`];
  const makeCommand = (verb: 'invite' | 'reset') =>
    commandLine(context, ['factor', verb, ...userWords(name, isExact)]);
  return factors.value.flatMap((factor) => {
    const { authenticator, record, isForeign } = factor;
    const begin = `second factor with ${authenticator}: `;
    if (isForeign)
      return [
        `${begin}its record was not written for this user by a gateway with these sealing keys, so the user is refused. To remove it: ${makeCommand('reset')}`,
      ];
    return [
      begin + stateText(factor, makeCommand('invite')),
      ...(record === undefined ? [] : moreLines(context, record, makeCommand('reset'))),
    ];
  });
}

/** Says which sessions lack the second factor that their user must have now, such as since a change of the config. */
export function lackingLines(
  factors: FactorsOfUser,
  sessions: readonly Pick<SeenToken, 'session'>[],
): readonly string[] {
  if (factors === undefined || 'problem' in factors) return [];
  const requiring = factors.value.flatMap((factor) =>
    factor.isRequired ? [factor.authenticator] : [],
  );
  const count = sessions.filter(
    ({ session }) => session && requiring.includes(session.authenticator) && !hadFactor(session),
  ).length;
  if (count === 0) return [];
  const [subject, pronoun] =
    count === 1 ? ['1 session was', 'it'] : [`${count} sessions were`, 'them'];
  return [
    `${subject} made without the second factor that is required now, so every review refuses ${pronoun}`,
  ];
}

/** Adds to the state of a session whether its user must have a second factor, which lists of tokens do not know. */
export function withKnownState(factors: FactorsOfUser, token: SeenToken): SeenToken {
  if (token.state !== 'good, unless a second factor is required') return token;
  if (factors === undefined || 'problem' in factors) return token;
  const factor = factors.value.find(
    ({ authenticator, isGuess }) => authenticator === token.session?.authenticator && !isGuess,
  );
  if (factor === undefined) return token;
  return { ...token, state: factor.isRequired ? 'lacks a second factor' : 'good' };
}

function stateText({ record, isRequired }: FactorOfUser, invite: string): string {
  const factors = record === undefined ? [] : listedFactors(record);
  if (factors.length > 0) {
    const codeCount = record?.recovery.length ?? 0;
    const codes = `${codeCount} recovery ${codeCount === 1 ? 'code' : 'codes'} left`;
    return `${isRequired ? 'required' : 'asked for, since the user has one'}: ${factorCount(factors)}, ${codes}`;
  }
  return isRequired
    ? `required, and the user has none, so they can't log in. To invite them: ${invite}`
    : 'none, and not required';
}

function moreLines(
  context: CommandContext,
  record: FactorRecord,
  reset: string,
): readonly string[] {
  const now = context.now();
  const invitation = openInvitation(record, now);
  return [
    ...(invitation === undefined
      ? []
      : [`open invitation to add a second factor ${invitationText(invitation)}`]),
    ...(areCodesLocked(record, now)
      ? [`no code is accepted: too many were wrong in the last 30d. If it was the user: ${reset}`]
      : []),
  ];
}

/** Makes the JSON. Null: they could not be read. */
export function factorsJson(
  context: CommandContext,
  factors: FactorsOfUser,
): readonly object[] | null {
  if (factors === undefined) return [];
  if ('problem' in factors) return null;
  return factors.value.map(({ authenticator, isRequired, record, isForeign }) => ({
    authenticator,
    required: isRequired,
    foreignRecord: isForeign,
    record: record === undefined ? null : recordJson(record, context.now()),
  }));
}
