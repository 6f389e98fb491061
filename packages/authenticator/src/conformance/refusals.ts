import { encodedTokens, foreignJwts, injectionTokens, memberTokens } from './hostile.ts';
import { problemOfDecision } from './identity.ts';
import { type CaseDefinition, type Kit, type Samples, verifySome } from './kit.ts';
import { verify } from './verdict.ts';

const reasonGiven: CaseDefinition = {
  name: 'refused tokens are rejected with their reason',
  async run(kit) {
    const authenticator = await kit.create();
    for (const rejected of rejectedOf(kit)) {
      const { reason } = rejected;
      const decision = await kit.ask(authenticator, rejected);
      verify(decision.kind === 'rejected' && decision.reason === reason, {
        expected: `${rejected.name} to be rejected as ${reason}`,
        got: `the answer was ${kit.show(decision)}`,
        why: 'The operator sees the reason in metrics and logs; no-opinion would send the token to other authenticators.',
      });
    }
  },
};

const fieldsOfRejected: readonly string[] = ['kind', 'reason', 'subject'];

const nothingButReason: CaseDefinition = {
  name: 'a rejection carries its reason and no free text',
  async run(kit) {
    const authenticator = await kit.create();
    for (const rejected of rejectedOf(kit)) {
      const decision = await kit.ask(authenticator, rejected);
      const unknown = Object.keys(decision).filter((key) => !fieldsOfRejected.includes(key));
      verify(unknown.length === 0, {
        expected: `the rejection of ${rejected.name} to have no fields but kind, reason and subject`,
        got: `it has ${kit.show(unknown)}`,
        why: 'Text of a backend may contain what the user typed, and would reach logs.',
      });
    }
  },
};

const subjectAsKnown: CaseDefinition = {
  name: 'the subject of a rejection is the name as the backend knows it',
  async run(kit) {
    const authenticator = await kit.create();
    for (const rejected of rejectedOf(kit)) {
      const { subject } = rejected;
      const decision = await kit.ask(authenticator, rejected);
      const given = decision.kind === 'rejected' ? decision.subject : undefined;
      verify(given === undefined || given === subject, {
        expected: `the subject of ${rejected.name} to be ${subject === undefined ? 'left out' : `"${subject}"`}`,
        got: `it is ${kit.show(given)}`,
        why: 'A name as typed may be a password in the wrong field, and each spelling would be counted separately.',
      });
    }
  },
};

const closedSet: CaseDefinition = {
  name: 'every decision is of the closed set of kinds and reasons',
  async run(kit) {
    const authenticator = await kit.create();
    const { valid, rejected, foreign } = kit.tokens;
    const hostile = [...memberTokens, ...injectionTokens, ...encodedTokens, ...foreignJwts('admin')];
    for (const named of [...valid, ...rejected, ...foreign, ...hostile]) {
      const decision = await kit.ask(authenticator, named);
      const problem = problemOfDecision(decision);
      verify(problem === undefined, {
        expected: `a decision about ${named.name}`,
        got: `the answer was ${kit.show(decision)}: ${problem}`,
        why: 'The words are labels of metrics; the gateway treats any other answer as an outage.',
      });
    }
  },
};

const foreignLeft: CaseDefinition = {
  name: 'tokens that are not its own get no opinion',
  async run(kit) {
    const { foreign } = kit.tokens;
    verifySome(foreign, 'foreignTokens');
    const authenticator = await kit.create();
    for (const named of foreign) {
      const decision = await kit.ask(authenticator, named);
      verify(decision.kind === 'no-opinion', {
        expected: `no opinion of ${named.name}`,
        got: `the answer was ${kit.show(decision)}`,
        why: 'Any other answer ends the chain: the authenticator behind this one would never see its own users.',
      });
    }
  },
};

function rejectedOf({ tokens }: Kit): Samples['rejected'] {
  verifySome(tokens.rejected, 'rejectedTokens');
  return tokens.rejected;
}

export const refusalCases: readonly CaseDefinition[] = [
  reasonGiven,
  nothingButReason,
  subjectAsKnown,
  closedSet,
  foreignLeft,
];
