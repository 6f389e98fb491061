import { randomUUID } from 'node:crypto';
import { type Authenticated, rejectionReasons, type UserInfo } from '../decision.ts';
import { type CaseDefinition, type Kit, type NamedToken, verifyTwoUsers } from './kit.ts';
import { verify } from './verdict.ts';

/** What is wrong with the kind of an answer, the reason or the fields: undefined when it is one of the contract's. */
export function faultOfDecision(decision: unknown): string | undefined {
  if (typeof decision !== 'object' || decision === null) return 'it is no object';
  const { kind, reason } = decision as { kind?: unknown; reason?: unknown };
  if (kind === 'no-opinion' || kind === 'authenticated') return undefined;
  if (kind !== 'rejected') return 'its kind is none of authenticated, rejected, no-opinion';
  if ((rejectionReasons as readonly unknown[]).includes(reason)) return undefined;
  return `its reason is none of ${rejectionReasons.join(', ')}`;
}

const fieldsOfAuthenticated: readonly string[] = ['kind', 'user', 'audiences', 'expiresAt'];
const fieldsOfUser: readonly string[] = ['username', 'uid', 'groups', 'extra'];

/** What is wrong with an `authenticated` decision, field by field: undefined when Kubernetes can use it as it is. */
function faultOfAuthenticated(decision: object, now: number): string | undefined {
  const { user, audiences, expiresAt } = decision as Record<string, unknown>;
  const unknown = Object.keys(decision).find((key) => !fieldsOfAuthenticated.includes(key));
  if (unknown !== undefined) return `the decision has a field "${unknown}" that nobody reads`;
  if (audiences !== undefined && !isNames(audiences)) return 'audiences is no array of non-empty strings';
  if (expiresAt !== undefined) {
    if (!(expiresAt instanceof Date) || Number.isNaN(expiresAt.getTime())) return 'expiresAt is no valid Date';
    if (expiresAt.getTime() <= now) return 'expiresAt is in the past';
  }
  return faultOfUser(user);
}

function faultOfUser(user: unknown): string | undefined {
  if (typeof user !== 'object' || user === null) return 'user is no object';
  const { username, uid, groups, extra } = user as Record<string, unknown>;
  if (!isName(username)) return 'user.username is no non-empty, well-formed string';
  if (uid !== undefined && !isText(uid)) return 'user.uid is no well-formed string';
  if (groups !== undefined && !isNames(groups)) return 'user.groups is no array of non-empty strings';
  const unknown = Object.keys(user).find((key) => !fieldsOfUser.includes(key));
  if (unknown !== undefined) return `the user has a field "${unknown}" that nobody reads`;
  return extra === undefined ? undefined : faultOfExtra(extra);
}

function faultOfExtra(extra: unknown): string | undefined {
  if (typeof extra !== 'object' || extra === null || Array.isArray(extra)) return 'user.extra is no object';
  for (const [key, values] of Object.entries(extra)) {
    if (!isName(key) || key !== key.toLowerCase()) return `the key "${key}" of user.extra is not lowercase`;
    if (!Array.isArray(values) || !values.every(isText)) return `"${key}" of user.extra is no array of strings`;
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

/** A user in one form, to compare by: nothing left out, groups and keys sorted. */
export function wholeUser({ username, uid, groups = [], extra = {} }: UserInfo): string {
  const sortedExtra = Object.entries(extra).sort(([one], [other]) => (one < other ? -1 : 1));
  return JSON.stringify({ username, uid: uid ?? null, groups: [...groups].sort(), extra: sortedExtra });
}

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

const callsAtOnce = 150;

const identitiesApart: CaseDefinition = {
  name: `${callsAtOnce} calls at once keep identities apart`,
  async run(kit) {
    const authenticator = await kit.create();
    const questions = await manyQuestions(kit);
    const decisions = await Promise.all(questions.map(({ named }) => kit.ask(authenticator, named)));
    for (const [index, { named, user }] of questions.entries()) {
      const decision = decisions[index];
      const given = decision?.kind === 'authenticated' ? wholeUser(decision.user) : undefined;
      verify(given === (user && wholeUser(user)), {
        expected: `call ${index + 1}, with ${named.name}, to ${user ? `authenticate as ${user.username}` : 'be refused'}`,
        got: `the answer was ${kit.tell(decision)}`,
        why: 'What one call keeps outside of itself, another call reads: somebody gets the rights of somebody else.',
      });
    }
  },
};

interface Question {
  readonly named: NamedToken;
  /** Undefined for a token that must be refused. */
  readonly user: UserInfo | undefined;
}

/** Good and bad tokens in turn, so that the answer to a good one may slip to a bad one. */
async function manyQuestions({ harness, tokens }: Kit): Promise<readonly Question[]> {
  const many = await harness.manyTokens?.(callsAtOnce);
  if (many !== undefined) verifyTwoUsers(many);
  const valid = many?.map((one, index) => ({ ...one, name: `token ${index + 1} of many` })) ?? tokens.valid;
  const good = valid.map(({ name, token, user }) => ({ named: { name, token }, user }));
  const bad = tokens.rejected.map((named) => ({ named, user: undefined }));
  return Array.from({ length: callsAtOnce }, (_, index) => {
    const pool: readonly Question[] = bad.length > 0 && index % 5 === 4 ? bad : good;
    return pool[index % pool.length] as Question;
  });
}

export const concurrencyCases: readonly CaseDefinition[] = [identitiesApart];
