import { randomUUID } from 'node:crypto';
import { type Authenticated, rejectionReasons, type UserInfo } from '../../decision.ts';
import { answersCase, authenticatorCase, type CaseDefinition, type Kit } from '../kit.ts';
import { type NamedToken, type Samples, verifySome, verifyTwoUsers } from '../samples.ts';
import { verify } from '../verify.ts';
import { encodedTokens, foreignJwts, injectionTokens, memberTokens } from './forged-tokens.ts';
import { describeAuthenticatedProblem, fieldsOfRejected, isAbout, wholeUser } from './shapes.ts';

/** @returns what is wrong with the kind of an answer or its reason; undefined when the contract has it */
function describeDecisionProblem(decision: unknown): string | undefined {
  if (typeof decision !== 'object' || decision === null) return 'it is not an object';
  const { kind, reason } = decision as Partial<Record<string, unknown>>;
  if (kind === 'no-opinion' || kind === 'authenticated') return undefined;
  if (kind !== 'rejected') return 'its kind is none of authenticated, rejected, no-opinion';
  if ((rejectionReasons as readonly unknown[]).includes(reason)) return undefined;
  return `its reason is none of ${rejectionReasons.join(', ')}`;
}

const validTokens = ({ tokens }: Kit) => tokens.valid;

const audience = `https://${randomUUID()}.invalid`;

function wholeDecision({
  user,
  credential = {},
  audiences = [],
  expiresAt,
}: Authenticated): string {
  const details = JSON.stringify([
    credential.jti ?? null,
    credential.sid ?? null,
    [...audiences].sort(),
  ]);
  return `${wholeUser(user)} ${details} ${expiresAt?.getTime() ?? 'does not expire'}`;
}

/** Writes into each part of the decision that is not frozen. */
function spoil({ user, credential, audiences, expiresAt }: Authenticated): void {
  const { groups, extra = {} } = user;
  const spoiled = 'spoiled-by-the-conformance-kit';
  const lists = [groups, audiences, ...Object.values(extra)] as (string[] | undefined)[];
  for (const list of lists) if (list !== undefined && !Object.isFrozen(list)) list.push(spoiled);
  Reflect.set(user, 'username', spoiled);
  Reflect.set(user, 'uid', spoiled);
  Reflect.set(extra, spoiled, [spoiled]);
  for (const id of ['jti', 'sid'])
    if (typeof credential === 'object') Reflect.set(credential, id, spoiled);
  expiresAt?.setTime(0);
}

export const identityCases: readonly CaseDefinition[] = [
  answersCase('valid tokens authenticate as the users they belong to', {
    tokens: validTokens,
    expectedInstead: (decision, { user }, kit) =>
      isAbout(decision, user) ? undefined : `to authenticate as ${kit.show(user)}`,
    rationale: 'Kubernetes grants rights by exactly these names.',
  }),
  answersCase('an authenticated user has the shape that Kubernetes takes', {
    tokens: validTokens,
    expectedInstead(decision) {
      if (decision.kind !== 'authenticated') return 'to authenticate';
      const problem = describeAuthenticatedProblem(decision, Date.now());
      return problem && `to be answered in the contract's shape: ${problem}`;
    },
    rationale: 'Kubernetes drops such values or uses them as they are: both give wrong rights.',
  }),
  answersCase('audiences that a review asks for are not echoed', {
    tokens: validTokens,
    audiences: [audience],
    expectedInstead: (decision) =>
      decision.kind === 'authenticated' && decision.audiences?.includes(audience)
        ? 'to name only audiences that it is bound to, and no random one of this question'
        : undefined,
    rationale: 'An echo makes every token valid for every audience.',
  }),
  authenticatorCase(
    'an answer that is changed does not change the next',
    async (kit, authenticator) => {
      for (const valid of kit.tokens.valid) {
        const firstDecision = await kit.ask(authenticator, valid);
        const firstText =
          firstDecision.kind === 'authenticated' ? wholeDecision(firstDecision) : undefined;
        if (firstDecision.kind === 'authenticated') spoil(firstDecision);
        const next = await kit.ask(authenticator, valid);
        verify(next.kind === 'authenticated' && wholeDecision(next) === firstText, {
          expected: `${valid.name} to authenticate as before`,
          actual: 'what was written into the first answer was in the second',
          rationale:
            'An object that is returned twice carries the rights of one user to another; freeze it or copy it.',
        });
      }
    },
  ),
];

export const concurrentCalls = 150;

/** Mixes good and bad questions for the concurrent calls, so that a mix-up can give a bad one the answer to a good one. */
export function inTurn<One>(common: readonly One[], rare: readonly One[]): readonly One[] {
  return Array.from({ length: concurrentCalls }, (_, index) => {
    const pool = rare.length > 0 && index % 5 === 4 ? rare : common;
    return pool[index % pool.length] as One;
  });
}

interface ConcurrentQuestion {
  readonly named: NamedToken;
  /** Left out for a token that must be refused. */
  readonly user?: UserInfo;
}

export const concurrencyCases: readonly CaseDefinition[] = [
  authenticatorCase(
    `${concurrentCalls} concurrent calls keep identities apart`,
    async (kit, authenticator) => {
      const many = (await kit.harness.manyTokens?.(concurrentCalls)) ?? kit.tokens.valid;
      verifyTwoUsers(many);
      const validQuestions = many.map(({ token, user }, index) => ({
        named: { name: `token ${index + 1} of many`, token },
        user,
      }));
      const questions = inTurn<ConcurrentQuestion>(
        validQuestions,
        kit.tokens.rejected.map((named) => ({ named })),
      );
      const decisions = await Promise.all(
        questions.map(({ named }) => kit.ask(authenticator, named)),
      );
      for (const [index, { named, user }] of questions.entries()) {
        const decision = decisions[index];
        verify(user ? isAbout(decision, user) : decision?.kind !== 'authenticated', () => ({
          expected: `call ${index + 1}, with ${named.name}, to ${user ? `authenticate as ${user.username}` : 'be refused'}`,
          actual: `the answer was ${kit.show(decision)}`,
          rationale: 'State that calls share lets one user get the rights of another.',
        }));
      }
    },
  ),
];

function requireRejected({ tokens }: Kit): Samples['rejected'] {
  verifySome(tokens.rejected, 'rejectedTokens');
  return tokens.rejected;
}

export const refusalCases: readonly CaseDefinition[] = [
  answersCase('refused tokens are rejected with their reason', {
    tokens: requireRejected,
    expectedInstead: (decision, { reason }) =>
      decision.kind === 'rejected' && decision.reason === reason
        ? undefined
        : `to be rejected as ${reason}`,
    rationale:
      'The operator sees the reason in metrics and logs; no-opinion would send the token to other authenticators.',
  }),
  answersCase('a rejection carries its reason and no free text', {
    tokens: requireRejected,
    expectedInstead: (decision) =>
      Object.keys(decision).every((key) => fieldsOfRejected.includes(key))
        ? undefined
        : `to be answered with no fields but ${fieldsOfRejected.join(', ')}`,
    rationale: 'Text of a backend may contain what the user typed, and would reach logs.',
  }),
  answersCase('the subject of a rejection is the name as the backend knows it', {
    tokens: requireRejected,
    expectedInstead(decision, { subject }) {
      const actualSubject = decision.kind === 'rejected' ? decision.subject : undefined;
      if (actualSubject === undefined || actualSubject === subject) return undefined;
      return `to be rejected with ${subject === undefined ? 'no subject' : `the subject "${subject}"`}`;
    },
    rationale:
      'A name as typed may be a password in the wrong field, and each spelling would be counted separately.',
  }),
  answersCase('every decision is of the closed set of kinds and reasons', {
    tokens({ tokens: { valid, rejected, foreign } }): readonly NamedToken[] {
      const forged = [
        ...memberTokens,
        ...injectionTokens,
        ...encodedTokens,
        ...foreignJwts('admin'),
      ];
      return [...valid, ...rejected, ...foreign, ...forged];
    },
    expectedInstead(decision) {
      const problem = describeDecisionProblem(decision);
      return problem && `to get a decision of the contract: ${problem}`;
    },
    rationale: 'The words are labels of metrics; the gateway treats any other answer as an outage.',
  }),
  answersCase('tokens that are not its own get no opinion', {
    tokens(kit) {
      verifySome(kit.tokens.foreign, 'foreignTokens');
      return kit.tokens.foreign;
    },
    expectedInstead: ({ kind }) => (kind === 'no-opinion' ? undefined : 'to get no opinion'),
    rationale:
      'Any other answer ends the chain: the authenticator behind this one would never see its own users.',
  }),
];
