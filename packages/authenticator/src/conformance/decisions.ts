import { randomUUID } from 'node:crypto';
import { type Authenticated, type Decision, rejectionReasons, type UserInfo } from '../decision.ts';
import { encodedTokens, foreignJwts, injectionTokens, memberTokens } from './hostile.ts';
import {
  answersCase,
  authenticatorCase,
  type CaseDefinition,
  type Kit,
  type NamedToken,
  type Samples,
  verifySome,
  verifyTwoUsers,
} from './kit.ts';
import { verify } from './verdict.ts';

/** @returns what is wrong with the kind of an answer or its reason; undefined when the contract has it */
function problemOfDecision(decision: unknown): string | undefined {
  if (typeof decision !== 'object' || decision === null) return 'it is not an object';
  const { kind, reason } = decision as Partial<Record<string, unknown>>;
  if (kind === 'no-opinion' || kind === 'authenticated') return undefined;
  if (kind !== 'rejected') return 'its kind is none of authenticated, rejected, no-opinion';
  if ((rejectionReasons as readonly unknown[]).includes(reason)) return undefined;
  return `its reason is none of ${rejectionReasons.join(', ')}`;
}

const fieldsOfAuthenticated: readonly string[] = ['kind', 'user', 'credential', 'audiences', 'expiresAt', 'session'];
export const fieldsOfRejected: readonly string[] = ['kind', 'reason', 'subject'];
const fieldsOfUser: readonly string[] = ['username', 'uid', 'groups', 'extra'];

/** @returns what is wrong with an `authenticated` decision; undefined when Kubernetes can use it as it is */
export function problemOfAuthenticated(decision: object, now: number): string | undefined {
  const { user, credential, audiences, expiresAt } = decision as Record<string, unknown>;
  const unknown = Object.keys(decision).find((key) => !fieldsOfAuthenticated.includes(key));
  if (unknown !== undefined) return `the decision has a field "${unknown}" that the contract does not have`;
  if (audiences !== undefined && !isNames(audiences)) return 'audiences is not an array of non-empty strings';
  if (expiresAt !== undefined) {
    if (!(expiresAt instanceof Date) || Number.isNaN(expiresAt.getTime())) return 'expiresAt is not a valid Date';
    if (expiresAt.getTime() <= now) return 'expiresAt is in the past';
  }
  return problemOfUser(user) ?? (credential === undefined ? undefined : problemOfCredential(credential));
}

/** Characters. Real ids have some 40; what is longer is most likely no id, but a token or a part of one. */
const longestCredential = 1_024;

function problemOfCredential(credential: unknown): string | undefined {
  if (typeof credential !== 'object' || credential === null) return 'credential is not an object';
  for (const [key, id] of Object.entries(credential)) {
    if (key !== 'jti' && key !== 'sid') return `the credential has a field "${key}" that the contract does not have`;
    if (!isName(id) || id.length > longestCredential) {
      return `credential.${key} is not a non-empty, well-formed string of at most ${longestCredential} characters`;
    }
  }
  return undefined;
}

function problemOfUser(user: unknown): string | undefined {
  if (typeof user !== 'object' || user === null) return 'user is not an object';
  const { username, uid, groups, extra } = user as Record<string, unknown>;
  if (!isName(username)) return 'user.username is not a non-empty, well-formed string';
  if (uid !== undefined && !isText(uid)) return 'user.uid is not a well-formed string';
  if (groups !== undefined && !isNames(groups)) return 'user.groups is not an array of non-empty strings';
  const unknown = Object.keys(user).find((key) => !fieldsOfUser.includes(key));
  if (unknown !== undefined) return `the user has a field "${unknown}" that the contract does not have`;
  return extra === undefined ? undefined : problemOfExtra(extra);
}

function problemOfExtra(extra: unknown): string | undefined {
  if (typeof extra !== 'object' || extra === null || Array.isArray(extra)) return 'user.extra is not an object';
  for (const [key, values] of Object.entries(extra)) {
    if (!isName(key) || key !== key.toLowerCase()) return `the key "${key}" of user.extra is not lowercase`;
    if (!Array.isArray(values) || !values.every(isText)) return `"${key}" of user.extra is not an array of strings`;
  }
  return undefined;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.isWellFormed();
}

function isName(value: unknown): value is string {
  return isText(value) && value !== '';
}

function isNames(value: unknown): boolean {
  return Array.isArray(value) && value.every(isName);
}

/** Formats a user for comparison: all fields, groups and keys sorted. */
export function wholeUser({ username, uid, groups = [], extra = {} }: UserInfo): string {
  const sortedExtra = Object.entries(extra).sort(([one], [other]) => (one < other ? -1 : 1));
  return JSON.stringify({ username, uid: uid ?? null, groups: [...groups].sort(), extra: sortedExtra });
}

/** Whether a decision lets exactly this user in. */
export function isAbout(decision: Decision | undefined, user: UserInfo): boolean {
  return decision?.kind === 'authenticated' && wholeUser(decision.user) === wholeUser(user);
}

const validTokens = ({ tokens }: Kit) => tokens.valid;

const audience = `https://${randomUUID()}.invalid`;

function wholeDecision({ user, credential = {}, audiences = [], expiresAt }: Authenticated): string {
  const rest = JSON.stringify([credential.jti ?? null, credential.sid ?? null, [...audiences].sort()]);
  return `${wholeUser(user)} ${rest} ${expiresAt?.getTime() ?? 'does not expire'}`;
}

/** Writes wherever it can. Frozen objects refuse it, which is good. */
function spoil({ user, credential, audiences, expiresAt }: Authenticated): void {
  const { groups, extra = {} } = user;
  const spoiled = 'spoiled-by-the-conformance-kit';
  const lists = [groups, audiences, ...Object.values(extra)] as (string[] | undefined)[];
  for (const list of lists) if (list !== undefined && !Object.isFrozen(list)) list.push(spoiled);
  Reflect.set(user, 'username', spoiled);
  Reflect.set(user, 'uid', spoiled);
  Reflect.set(extra, spoiled, [spoiled]);
  for (const id of ['jti', 'sid']) if (typeof credential === 'object') Reflect.set(credential, id, spoiled);
  expiresAt?.setTime(0);
}

export const identityCases: readonly CaseDefinition[] = [
  answersCase('valid tokens authenticate as the users they belong to', {
    tokens: validTokens,
    objection: (decision, { user }, kit) =>
      isAbout(decision, user) ? undefined : `to authenticate as ${kit.show(user)}`,
    why: 'Kubernetes grants rights by exactly these names.',
  }),
  answersCase('an authenticated user has the shape that Kubernetes takes', {
    tokens: validTokens,
    objection(decision) {
      if (decision.kind !== 'authenticated') return 'to authenticate';
      const problem = problemOfAuthenticated(decision, Date.now());
      return problem && `to be answered in the contract's shape: ${problem}`;
    },
    why: 'Kubernetes drops such values or uses them as they are: both give wrong rights.',
  }),
  answersCase('audiences that a review asks for are not echoed', {
    tokens: validTokens,
    audiences: [audience],
    objection: (decision) =>
      decision.kind === 'authenticated' && decision.audiences?.includes(audience)
        ? 'to name only audiences that it is bound to, and none that was made up for the question'
        : undefined,
    why: 'An echo makes every token good for every audience.',
  }),
  authenticatorCase('an answer that is changed does not change the next', async (kit, authenticator) => {
    for (const valid of kit.tokens.valid) {
      const first = await kit.ask(authenticator, valid);
      const before = first.kind === 'authenticated' ? wholeDecision(first) : undefined;
      if (first.kind === 'authenticated') spoil(first);
      const next = await kit.ask(authenticator, valid);
      verify(next.kind === 'authenticated' && wholeDecision(next) === before, {
        expected: `${valid.name} to authenticate as before`,
        got: 'what was written into the first answer was in the second',
        why: 'An object that is returned twice carries the rights of one user to another; freeze it or copy it.',
      });
    }
  }),
];

export const callsAtOnce = 150;

/** For as many calls: good and bad ones in turn, so that a mix-up may give a bad one the answer of a good one. */
export function inTurn<One>(good: readonly One[], bad: readonly One[]): readonly One[] {
  return Array.from({ length: callsAtOnce }, (_, index) => {
    const pool = bad.length > 0 && index % 5 === 4 ? bad : good;
    return pool[index % pool.length] as One;
  });
}

interface Question {
  readonly named: NamedToken;
  /** Left out for a token that must be refused. */
  readonly user?: UserInfo;
}

export const concurrencyCases: readonly CaseDefinition[] = [
  authenticatorCase(`${callsAtOnce} calls at once keep identities apart`, async (kit, authenticator) => {
    const many = (await kit.harness.manyTokens?.(callsAtOnce)) ?? kit.tokens.valid;
    verifyTwoUsers(many);
    const good = many.map(({ token, user }, index) => ({
      named: { name: `token ${index + 1} of many`, token },
      user,
    }));
    const questions = inTurn<Question>(
      good,
      kit.tokens.rejected.map((named) => ({ named })),
    );
    const decisions = await Promise.all(questions.map(({ named }) => kit.ask(authenticator, named)));
    for (const [index, { named, user }] of questions.entries()) {
      const decision = decisions[index];
      verify(user ? isAbout(decision, user) : decision?.kind !== 'authenticated', () => ({
        expected: `call ${index + 1}, with ${named.name}, to ${user ? `authenticate as ${user.username}` : 'be refused'}`,
        got: `the answer was ${kit.show(decision)}`,
        why: 'State that calls share lets one user get the rights of another.',
      }));
    }
  }),
];

function rejectedOf({ tokens }: Kit): Samples['rejected'] {
  verifySome(tokens.rejected, 'rejectedTokens');
  return tokens.rejected;
}

export const refusalCases: readonly CaseDefinition[] = [
  answersCase('refused tokens are rejected with their reason', {
    tokens: rejectedOf,
    objection: (decision, { reason }) =>
      decision.kind === 'rejected' && decision.reason === reason ? undefined : `to be rejected as ${reason}`,
    why: 'The operator sees the reason in metrics and logs; no-opinion would send the token to other authenticators.',
  }),
  answersCase('a rejection carries its reason and no free text', {
    tokens: rejectedOf,
    objection: (decision) =>
      Object.keys(decision).every((key) => fieldsOfRejected.includes(key))
        ? undefined
        : `to be answered with no fields but ${fieldsOfRejected.join(', ')}`,
    why: 'Text of a backend may contain what the user typed, and would reach logs.',
  }),
  answersCase('the subject of a rejection is the name as the backend knows it', {
    tokens: rejectedOf,
    objection(decision, { subject }) {
      const given = decision.kind === 'rejected' ? decision.subject : undefined;
      if (given === undefined || given === subject) return undefined;
      return `to be rejected with ${subject === undefined ? 'no subject' : `the subject "${subject}"`}`;
    },
    why: 'A name as typed may be a password in the wrong field, and each spelling would be counted separately.',
  }),
  answersCase('every decision is of the closed set of kinds and reasons', {
    tokens({ tokens: { valid, rejected, foreign } }): readonly NamedToken[] {
      const hostile = [...memberTokens, ...injectionTokens, ...encodedTokens, ...foreignJwts('admin')];
      return [...valid, ...rejected, ...foreign, ...hostile];
    },
    objection(decision) {
      const problem = problemOfDecision(decision);
      return problem && `to get a decision of the contract: ${problem}`;
    },
    why: 'The words are labels of metrics; the gateway treats any other answer as an outage.',
  }),
  answersCase('tokens that are not its own get no opinion', {
    tokens(kit) {
      verifySome(kit.tokens.foreign, 'foreignTokens');
      return kit.tokens.foreign;
    },
    objection: ({ kind }) => (kind === 'no-opinion' ? undefined : 'to get no opinion'),
    why: 'Any other answer ends the chain: the authenticator behind this one would never see its own users.',
  }),
];
