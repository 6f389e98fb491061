import { randomUUID } from 'node:crypto';
import type { Authenticated } from '../decision.ts';
import type { CaseDefinition } from './case-definition.ts';
import { faultOfAuthenticated, wholeUser } from './decision-shape.ts';
import type { NamedToken } from './hostile-tokens.ts';
import type { Kit } from './kit.ts';
import { verify } from './verdict.ts';

const rightUser: CaseDefinition = {
  name: 'valid tokens authenticate as the users they belong to',
  async run(kit) {
    const authenticator = await kit.create();
    for (const valid of kit.tokens.valid) {
      const decision = await kit.ask(authenticator, valid);
      verify(decision.kind === 'authenticated' && wholeUser(decision.user) === wholeUser(valid.user), {
        expected: `${valid.name} to authenticate as ${kit.tell(valid.user)}`,
        got: `the answer was ${kit.tell(decision)}`,
        why: 'Kubernetes grants rights by exactly these names.',
      });
    }
  },
};

const usableUser: CaseDefinition = {
  name: 'an authenticated user has the shape that Kubernetes takes',
  async run(kit) {
    const authenticator = await kit.create();
    for (const valid of kit.tokens.valid) {
      const decision = await authenticated(kit, authenticator, valid);
      const fault = faultOfAuthenticated(decision, Date.now());
      verify(fault === undefined, {
        expected: `the answer to ${valid.name} to be of the contract's shape`,
        got: `${fault}: ${kit.tell(decision)}`,
        why: 'Such values are lost on the way or taken at face value by kube-apiserver: both end in wrong rights.',
      });
    }
  },
};

const audiencesNotEchoed: CaseDefinition = {
  name: 'audiences that a review asks for are not echoed',
  async run(kit) {
    const authenticator = await kit.create();
    const audience = `https://${randomUUID()}.invalid`;
    for (const valid of kit.tokens.valid) {
      const decision = await kit.ask(authenticator, valid, { audiences: [audience] });
      verify(decision.kind !== 'authenticated' || !decision.audiences?.includes(audience), {
        expected: `${valid.name} to name only audiences that it is bound to`,
        got: 'the answer valid one that was made up for the question',
        why: 'An echo makes every token good for every audience.',
      });
    }
  },
};

const answersUnshared: CaseDefinition = {
  name: 'an answer that is changed does not change the next',
  async run(kit) {
    const authenticator = await kit.create();
    for (const valid of kit.tokens.valid) {
      const first = await authenticated(kit, authenticator, valid);
      const before = wholeDecision(first);
      spoil(first);
      const after = wholeDecision(await authenticated(kit, authenticator, valid));
      verify(after === before, {
        expected: `${valid.name} to be answered as before`,
        got: 'what was written into the first answer stood in the second',
        why: 'An object that is handed out twice carries the rights of one user to another; freeze it or copy it.',
      });
    }
  },
};

async function authenticated(
  kit: Kit,
  authenticator: Parameters<Kit['ask']>[0],
  token: NamedToken,
): Promise<Authenticated> {
  const decision = await kit.ask(authenticator, token);
  const got = `the answer was ${kit.tell(decision)}`;
  const why = 'The harness says that this token is good.';
  verify(decision.kind === 'authenticated', { expected: `${token.name} to authenticate`, got, why });
  return decision;
}

function wholeDecision({ user, audiences = [], expiresAt }: Authenticated): string {
  return `${wholeUser(user)} ${JSON.stringify([...audiences].sort())} ${expiresAt?.getTime() ?? 'no end'}`;
}

/** Writes wherever it can; what is frozen refuses, and that is well. */
function spoil({ user, audiences, expiresAt }: Authenticated): void {
  const { groups, extra = {} } = user;
  const spoiled = 'spoiled-by-the-conformance-kit';
  const lists = [groups, audiences, ...Object.values(extra)] as (string[] | undefined)[];
  for (const list of lists) if (list !== undefined && !Object.isFrozen(list)) list.push(spoiled);
  Reflect.set(user, 'username', spoiled);
  Reflect.set(user, 'uid', spoiled);
  Reflect.set(extra, spoiled, [spoiled]);
  expiresAt?.setTime(0);
}

export const identityCases: readonly CaseDefinition[] = [rightUser, usableUser, audiencesNotEchoed, answersUnshared];
