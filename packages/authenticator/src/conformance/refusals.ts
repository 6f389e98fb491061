import { encodedTokens, foreignJwts, injectionTokens, memberTokens } from './hostile.ts';
import { fieldsOfRejected, problemOfDecision } from './identity.ts';
import { answersCase, type CaseDefinition, type Kit, type NamedToken, type Samples, verifySome } from './kit.ts';

function rejectedOf({ tokens }: Kit): Samples['rejected'] {
  verifySome(tokens.rejected, 'rejectedTokens');
  return tokens.rejected;
}

const reasonGiven = answersCase('refused tokens are rejected with their reason', {
  tokens: rejectedOf,
  objection: (decision, { reason }) =>
    decision.kind === 'rejected' && decision.reason === reason ? undefined : `to be rejected as ${reason}`,
  why: 'The operator sees the reason in metrics and logs; no-opinion would send the token to other authenticators.',
});

const nothingButReason = answersCase('a rejection carries its reason and no free text', {
  tokens: rejectedOf,
  objection: (decision) =>
    Object.keys(decision).every((key) => fieldsOfRejected.includes(key))
      ? undefined
      : `to be answered with no fields but ${fieldsOfRejected.join(', ')}`,
  why: 'Text of a backend may contain what the user typed, and would reach logs.',
});

const subjectAsKnown = answersCase('the subject of a rejection is the name as the backend knows it', {
  tokens: rejectedOf,
  objection(decision, { subject }) {
    const given = decision.kind === 'rejected' ? decision.subject : undefined;
    if (given === undefined || given === subject) return undefined;
    return `to be rejected with ${subject === undefined ? 'no subject' : `the subject "${subject}"`}`;
  },
  why: 'A name as typed may be a password in the wrong field, and each spelling would be counted separately.',
});

const closedSet = answersCase('every decision is of the closed set of kinds and reasons', {
  tokens({ tokens: { valid, rejected, foreign } }): readonly NamedToken[] {
    const hostile = [...memberTokens, ...injectionTokens, ...encodedTokens, ...foreignJwts('admin')];
    return [...valid, ...rejected, ...foreign, ...hostile];
  },
  objection(decision) {
    const problem = problemOfDecision(decision);
    return problem && `to get a decision of the contract: ${problem}`;
  },
  why: 'The words are labels of metrics; the gateway treats any other answer as an outage.',
});

const foreignLeft = answersCase('tokens that are not its own get no opinion', {
  tokens(kit) {
    verifySome(kit.tokens.foreign, 'foreignTokens');
    return kit.tokens.foreign;
  },
  objection: ({ kind }) => (kind === 'no-opinion' ? undefined : 'to get no opinion'),
  why: 'Any other answer ends the chain: the authenticator behind this one would never see its own users.',
});

export const refusalCases: readonly CaseDefinition[] = [
  reasonGiven,
  nothingButReason,
  subjectAsKnown,
  closedSet,
  foreignLeft,
];
