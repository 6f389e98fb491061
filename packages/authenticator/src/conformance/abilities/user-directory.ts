import { randomUUID } from 'node:crypto';
import type { AuthenticateContext, Authenticator, LoggedIn } from '../../authenticator.ts';
import type { UserInfo } from '../../decision.ts';
import {
  abortCase,
  abortedAmid,
  abortedBefore,
  abortedHanging,
  type Call,
} from '../authenticator/aborts.ts';
import { concurrentCalls, inTurn } from '../authenticator/decisions.ts';
import { injectionTokens, memberTokens } from '../authenticator/forged-tokens.ts';
import { mustBeUnavailable } from '../authenticator/outages.ts';
import { authenticatorCase, type CaseDefinition, type Kit } from '../kit.ts';
import { verifyTwoUsers } from '../samples.ts';
import { type CallResult, verify } from '../verify.ts';

interface UserContext extends Pick<AuthenticateContext, 'signal' | 'trace'> {
  /** When the user logged in. Left out: now. */
  readonly since?: Date | undefined;
}

/** A method that is called with a user and no token. */
export interface UserMethod<Answer> {
  readonly name: 'lookUp' | 'revalidate';
  /** What an authenticator must have for the cases of the method. Left out: the method. */
  readonly needs?: 'directory';
  call(authenticator: Authenticator, user: LoggedIn, context: UserContext): Promise<Answer>;
  /** Fails when an answer is not the user's. @param user undefined: no one has the name that was asked for */
  verifyAnswer(
    kit: Kit,
    askedUser: LoggedIn,
    user: UserInfo | undefined,
    outcome: CallResult<Answer>,
  ): void;
}

/** Asks about one user, and fails when the answer takes too long. */
function ask<Answer>(
  kit: Kit,
  method: UserMethod<Answer>,
  authenticator: Authenticator,
  user: LoggedIn,
  context: Partial<UserContext> = {},
): Promise<CallResult<Answer>> {
  const call = () =>
    method.call(authenticator, user, { signal: new AbortController().signal, ...context });
  return kit.timed(`the answer of ${method.name}() to ${quoteName(user)}`, call);
}

/** Makes a case that asks about one user after the other, for each time of their login. */
export function usersCase<Answer, User extends LoggedIn>(
  method: UserMethod<Answer>,
  name: string,
  listUsers: (kit: Kit) => readonly User[],
  verifyAnswer: (kit: Kit, user: User, outcome: CallResult<Answer>) => void,
  logins: readonly (Date | undefined)[] = [undefined],
): CaseDefinition {
  const run = async (kit: Kit, authenticator: Authenticator) => {
    for (const user of listUsers(kit)) {
      for (const since of logins)
        verifyAnswer(kit, user, await ask(kit, method, authenticator, user, { since }));
    }
  };
  return authenticatorCase(name, run, { needs: method.needs ?? method.name });
}

/** Formats a name for a message. It may be very long, or ill-formed. */
export function quoteName({ username }: LoggedIn): string {
  const text = JSON.stringify(username.slice(0, 80));
  return username.length > 80 ? `${text}… (${username.length} characters)` : text;
}

/** Returns the users of the valid tokens. */
export function knownUsers({ tokens }: Kit): readonly UserInfo[] {
  return tokens.valid.map(({ user }) => user);
}

/** Makes names that no user has: random ones, queries and patterns, and known ones with something more. */
export function makeUnknownNames(kit: Kit): readonly LoggedIn[] {
  const random = [
    `nobody-${randomUUID()}`,
    'a'.repeat(16 * 1024),
    'a'.repeat(1024 * 1024),
    '\0',
    '\ud800',
    '\ufffd',
  ];
  const forged = [...memberTokens, ...injectionTokens].map(({ token }) => token);
  const ends = ['\0', '\0x', '\ud800', '\ufffd', '*', "' OR '1'='1"];
  const changed = kit.harness.validTokens
    .slice(0, 4)
    .flatMap(({ user: { username: name } }) => [
      ...ends.map((end) => name + end),
      `\0${name}`,
      `${name.slice(0, -1)}*`,
      `*)(|(uid=${name}`,
    ]);
  return [...random, ...forged, ...changed].map((username) => ({ username }));
}

/** Makes the cases that are the same for both methods. */
export function userCases<Answer>(method: UserMethod<Answer>): readonly CaseDefinition[] {
  const needs = method.name;
  const calls = (kit: Kit, authenticator: Authenticator): readonly Call[] =>
    knownUsers(kit).map((user) => ({
      name: `${needs}() of ${quoteName(user)}`,
      start: (signal) => method.call(authenticator, user, { signal }),
    }));
  return [
    separateUsers(method),
    abortCase({ name: `${needs}() ends by a throw when it is aborted`, needs }, calls, [
      abortedBefore,
      abortedAmid,
    ]),
    abortCase(
      {
        name: `${needs}() ends when it is aborted while the backend hangs`,
        needs,
        needsBackend: true,
      },
      calls,
      [abortedHanging],
    ),
    authenticatorCase(
      `${needs}() reports a stopped backend as unavailable`,
      async (kit, authenticator) => {
        await kit.backend().stop();
        const questions = knownUsers(kit).map(async (user) => {
          mustBeUnavailable(
            kit,
            `${needs}() of ${quoteName(user)}`,
            await ask(kit, method, authenticator, user),
          );
        });
        await Promise.all(questions);
      },
      { needs, needsBackend: true },
    ),
    noSecrets(method),
  ];
}

/** Makes a case of many concurrent calls, which must not mix users up. */
function separateUsers<Answer>(method: UserMethod<Answer>): CaseDefinition {
  const run = async (kit: Kit, authenticator: Authenticator) => {
    const many = (await kit.harness.manyTokens?.(concurrentCalls)) ?? kit.tokens.valid;
    verifyTwoUsers(many);
    const existingUsers = many.map(({ user }) => ({ askedUser: user, user }));
    const unknownUsers = Array.from(many, (_, index) => ({
      askedUser: { username: `nobody-${index}` },
      user: undefined,
    }));
    const questions = inTurn<{ readonly askedUser: LoggedIn; readonly user: UserInfo | undefined }>(
      existingUsers,
      unknownUsers,
    );
    const outcomes = await Promise.all(
      questions.map(({ askedUser }) => ask(kit, method, authenticator, askedUser)),
    );
    for (const [index, { askedUser, user }] of questions.entries()) {
      method.verifyAnswer(kit, askedUser, user, outcomes[index] as CallResult<Answer>);
    }
  };
  const name = `${concurrentCalls} concurrent calls of ${method.name}() keep users apart`;
  return authenticatorCase(name, run, { needs: method.name });
}

/** Makes a case that searches all that the method reports for secrets. */
function noSecrets<Answer>(method: UserMethod<Answer>): CaseDefinition {
  const run = async (kit: Kit, authenticator: Authenticator) => {
    const reported: unknown[] = [];
    const trace = (step: string, values = '') => reported.push(step, values);
    const askAll = async (context: Partial<UserContext> = {}) => {
      const users = [...knownUsers(kit), ...makeUnknownNames(kit)];
      const answers = users.map((user) =>
        ask(kit, method, authenticator, user, { trace, ...context }),
      );
      reported.push(...(await Promise.all(answers)));
    };
    await askAll();
    await askAll({ signal: AbortSignal.abort(new Error('the caller has gone')) });
    if (!('none' in kit.harness.backend)) {
      await kit.backend().stop();
      await askAll();
    }
    for (const { lines, metrics } of kit.recordings) reported.push(...lines, ...metrics);
    kit.mustBeSilent(`what ${method.name}() answers, its steps, log lines and metrics`, reported);
  };
  const name = `${method.name}() shows no password in an answer, a step, an error, a log line or a metric`;
  return authenticatorCase(name, run, { needs: method.name });
}

export const userDirectoryCases: readonly CaseDefinition[] = [
  authenticatorCase(
    'lookUp() and revalidate() are there exactly where the harness says so',
    async ({ harness: { looksUpUsers = false, revalidation } }, authenticator) => {
      const harnessSays = { lookUp: looksUpUsers, revalidate: revalidation !== undefined };
      for (const [name, isSaid] of Object.entries(harnessSays)) {
        const method: unknown = Reflect.get(authenticator, name);
        verify(isSaid ? typeof method === 'function' : method === undefined, {
          expected: isSaid
            ? `the authenticator to have ${name}()`
            : `the authenticator to have no ${name}`,
          actual: `it is of the type ${typeof method}`,
          rationale:
            'Set looksUpUsers and revalidation of the harness as the plugin is: the cases for these methods depend on them.',
        });
      }
    },
  ),
];
