import { randomUUID } from 'node:crypto';
import type { AuthenticateContext, Authenticator, LoggedIn } from '../authenticator.ts';
import type { UserInfo } from '../decision.ts';
import { abortCase, abortedAmid, abortedBefore, abortedHanging, type Call } from './abort.ts';
import { callsAtOnce, inTurn, wholeUser } from './decisions.ts';
import { injectionTokens, memberTokens } from './hostile.ts';
import { authenticatorCase, type CaseDefinition, type Kit, verifyTwoUsers } from './kit.ts';
import { gotOf, mustBeUnavailable } from './outage.ts';
import { type Outcome, verify } from './verdict.ts';

interface UserContext extends Pick<AuthenticateContext, 'signal' | 'trace'> {
  /** When the user logged in. Left out: now. */
  readonly since?: Date | undefined;
}

/** One of the methods that are called with a user and no token. */
export interface UserMethod<Answer> {
  readonly name: 'lookUp' | 'revalidate';
  call(authenticator: Authenticator, user: LoggedIn, context: UserContext): Promise<Answer>;
  /** Fails when an answer is not that of the user. @param user undefined: no one has the name that was asked for */
  judge(kit: Kit, asked: LoggedIn, user: UserInfo | undefined, outcome: Outcome<Answer>): void;
}

/** Fails when the answer takes too long. */
function ask<Answer>(
  kit: Kit,
  method: UserMethod<Answer>,
  authenticator: Authenticator,
  user: LoggedIn,
  context: Partial<UserContext> = {},
): Promise<Outcome<Answer>> {
  const call = () => method.call(authenticator, user, { signal: new AbortController().signal, ...context });
  return kit.timed(`the answer of ${method.name}() to ${nameOf(user)}`, call);
}

/** Asks about one user after the other, for each time of their login. */
export function usersCase<Answer, User extends LoggedIn>(
  method: UserMethod<Answer>,
  name: string,
  usersOf: (kit: Kit) => readonly User[],
  judge: (kit: Kit, user: User, outcome: Outcome<Answer>) => void,
  logins: readonly (Date | undefined)[] = [undefined],
): CaseDefinition {
  const run = async (kit: Kit, authenticator: Authenticator) => {
    for (const user of usersOf(kit)) {
      for (const since of logins) judge(kit, user, await ask(kit, method, authenticator, user, { since }));
    }
  };
  return authenticatorCase(name, run, { needs: method.name });
}

/** A name in a message: hostile ones may be very long, or no text. */
export function nameOf({ username }: LoggedIn): string {
  const text = JSON.stringify(username.slice(0, 80));
  return username.length > 80 ? `${text}… (${username.length} characters)` : text;
}

/** The users of the valid tokens. */
export function knownUsers({ tokens }: Kit): readonly UserInfo[] {
  return tokens.valid.map(({ user }) => user);
}

/** Names that no user has: made up, queries and patterns, and known ones with something more. */
export function namesOfNoOne(kit: Kit): readonly LoggedIn[] {
  const made = [`nobody-${randomUUID()}`, 'a'.repeat(16 * 1024), 'a'.repeat(1024 * 1024), '\0', '\ud800', '\ufffd'];
  const hostile = [...memberTokens, ...injectionTokens].map(({ token }) => token);
  const ends = ['\0', '\0x', '\ud800', '\ufffd', '*', "' OR '1'='1"];
  const changed = kit.harness.validTokens
    .slice(0, 4)
    .flatMap(({ user: { username: name } }) => [
      ...ends.map((end) => name + end),
      `\0${name}`,
      `${name.slice(0, -1)}*`,
      `*)(|(uid=${name}`,
    ]);
  return [...made, ...hostile, ...changed].map((username) => ({ username }));
}

/** The cases that are the same for both methods. */
export function userCases<Answer>(method: UserMethod<Answer>): readonly CaseDefinition[] {
  const needs = method.name;
  const calls = (kit: Kit, authenticator: Authenticator): readonly Call[] =>
    knownUsers(kit).map((user) => ({
      name: `${needs}() of ${nameOf(user)}`,
      start: (signal) => method.call(authenticator, user, { signal }),
    }));
  return [
    keptApart(method),
    abortCase({ name: `${needs}() ends by a throw when it is aborted`, needs }, calls, [abortedBefore, abortedAmid]),
    abortCase(
      { name: `${needs}() ends when it is aborted while the backend hangs`, needs, needsBackend: true },
      calls,
      [abortedHanging],
    ),
    authenticatorCase(
      `${needs}() reports a stopped backend as unavailable`,
      async (kit, authenticator) => {
        await kit.backend().stop();
        const asking = knownUsers(kit).map(async (user) => {
          mustBeUnavailable(kit, `${needs}() of ${nameOf(user)}`, await ask(kit, method, authenticator, user));
        });
        await Promise.all(asking);
      },
      { needs, needsBackend: true },
    ),
    silent(method),
  ];
}

function keptApart<Answer>(method: UserMethod<Answer>): CaseDefinition {
  const run = async (kit: Kit, authenticator: Authenticator) => {
    const many = (await kit.harness.manyTokens?.(callsAtOnce)) ?? kit.tokens.valid;
    verifyTwoUsers(many);
    const known = many.map(({ user }) => ({ asked: user, user }));
    const unknown = Array.from(many, (_, index) => ({ asked: { username: `nobody-${index}` }, user: undefined }));
    const questions = inTurn<{ readonly asked: LoggedIn; readonly user: UserInfo | undefined }>(known, unknown);
    const outcomes = await Promise.all(questions.map(({ asked }) => ask(kit, method, authenticator, asked)));
    for (const [index, { asked, user }] of questions.entries()) {
      method.judge(kit, asked, user, outcomes[index] as Outcome<Answer>);
    }
  };
  const name = `${callsAtOnce} calls of ${method.name}() at once keep users apart`;
  return authenticatorCase(name, run, { needs: method.name });
}

function silent<Answer>(method: UserMethod<Answer>): CaseDefinition {
  const run = async (kit: Kit, authenticator: Authenticator) => {
    const said: unknown[] = [];
    const trace = (step: string) => said.push(step);
    const askAll = async (context: Partial<UserContext> = {}) => {
      const users = [...knownUsers(kit), ...namesOfNoOne(kit)];
      const answers = users.map((user) => ask(kit, method, authenticator, user, { trace, ...context }));
      said.push(...(await Promise.all(answers)));
    };
    await askAll();
    await askAll({ signal: AbortSignal.abort(new Error('the caller has gone')) });
    if (!('none' in kit.harness.backend)) {
      await kit.backend().stop();
      await askAll();
    }
    for (const { lines, metrics } of kit.recordings) said.push(...lines, ...metrics);
    kit.mustBeSilent(`what ${method.name}() says, its steps, log lines and metrics`, said);
  };
  const name = `${method.name}() says no password: not in an answer, a step, an error, a log line or a metric`;
  return authenticatorCase(name, run, { needs: method.name });
}

const lookUp: UserMethod<UserInfo | undefined> = {
  name: 'lookUp',
  call: async (authenticator, { username }, context) => await authenticator.lookUp?.(username, context),
  judge(kit, asked, user, outcome) {
    const found = 'value' in outcome ? outcome.value : undefined;
    verify('value' in outcome && (user ? found && wholeUser(found) === wholeUser(user) : found === undefined), () => ({
      expected: `lookUp() of ${nameOf(asked)} to ${user ? `find ${kit.show(user)}` : 'find no one'}`,
      got: gotOf(kit, outcome),
      why: user
        ? 'The operator would look for the cause in the wrong place: these are the names that a token gives.'
        : 'A name without a user is undefined; a throw says that the backend is down.',
    }));
  },
};

export const userMethodsCases: readonly CaseDefinition[] = [
  authenticatorCase(
    'lookUp() and revalidate() are there exactly where the harness says so',
    async ({ harness: { looksUpUsers = false, revalidation } }, authenticator) => {
      const said = { lookUp: looksUpUsers, revalidate: revalidation !== undefined };
      for (const [name, isSaid] of Object.entries(said)) {
        const method: unknown = Reflect.get(authenticator, name);
        verify(isSaid ? typeof method === 'function' : method === undefined, {
          expected: isSaid ? `the authenticator to have ${name}()` : `the authenticator to have no ${name}`,
          got: `it is of the type ${typeof method}`,
          why: 'Set looksUpUsers and revalidation of the harness as the plugin is: the cases for these methods depend on them.',
        });
      }
    },
  ),
  usersCase(
    lookUp,
    'lookUp() finds the users of valid tokens, as their tokens give them',
    knownUsers,
    (kit, user, outcome) => lookUp.judge(kit, user, user, outcome),
  ),
  usersCase(
    lookUp,
    'lookUp() finds no one by a name that no user has, and never throws',
    namesOfNoOne,
    (kit, asked, outcome) => lookUp.judge(kit, asked, undefined, outcome),
  ),
  ...userCases(lookUp),
];
