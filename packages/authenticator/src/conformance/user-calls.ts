import { randomUUID } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { AuthenticateContext, Authenticator, LoggedIn } from '../authenticator.ts';
import type { UserInfo } from '../decision.ts';
import { endsByThrow, settledInMicrotasks } from './abort.ts';
import { injectionTokens, memberTokens } from './hostile.ts';
import { callsAtOnce } from './identity.ts';
import { type CaseDefinition, type Kit, verifyTwoUsers } from './kit.ts';
import { secretFinder } from './leaks.ts';
import { mustBeUnavailable } from './outage.ts';
import { type Outcome, outcomeOf, verify, within } from './verdict.ts';

type UserContext = Pick<AuthenticateContext, 'signal' | 'trace'>;

/** One of the methods that are called with a user and no token. */
export interface UserMethod {
  readonly name: 'lookUp' | 'revalidate';
  call(authenticator: Authenticator, user: LoggedIn, context: UserContext): Promise<unknown>;
}

const never = new AbortController().signal;

/** Fails when the answer takes too long. */
export function outcomeAbout<Value>(
  kit: Kit,
  { name }: UserMethod,
  user: LoggedIn,
  call: () => Promise<Value>,
): Promise<Outcome<Value>> {
  const expected = `${name}() of ${nameOf(user)} to end within ${kit.deadline} ms`;
  const why = 'A call that takes longer than the deadline is an outage to the gateway.';
  return within(kit.deadline, outcomeOf(call), { expected, got: 'it did not', why });
}

/** A name in a message: hostile ones may be very long, or no text. */
export function nameOf({ username }: LoggedIn): string {
  const text = JSON.stringify(username);
  return text.length > 80 ? `${text.slice(0, 80)}… (${username.length} characters)` : text;
}

/** The users of the valid tokens. */
export function knownUsers({ tokens }: Kit): readonly LoggedIn[] {
  return tokens.valid.map(({ user }) => user);
}

interface ManyUsers {
  readonly asked: LoggedIn;
  /** Undefined: no one has the name. */
  readonly user: UserInfo | undefined;
}

/** Known and unknown ones in turn, so that a mix-up may give one the answer of the other. */
async function manyUsers(kit: Kit): Promise<readonly ManyUsers[]> {
  const many = (await kit.harness.manyTokens?.(callsAtOnce)) ?? kit.tokens.valid;
  verifyTwoUsers(many);
  return Array.from({ length: callsAtOnce }, (_, index) => {
    if (index % 5 === 4) return { asked: { username: `nobody-${index}` }, user: undefined };
    const { user } = many[index % many.length] as { user: UserInfo };
    return { asked: user, user };
  });
}

/** Asks about many users at once. @param judge fails when an answer is not that of its user */
export function apartCase<Value>(
  { name }: UserMethod,
  ask: (kit: Kit, authenticator: Authenticator, user: LoggedIn) => Promise<Outcome<Value>>,
  judge: (kit: Kit, one: ManyUsers, outcome: Outcome<Value>) => void,
): CaseDefinition {
  return {
    name: `${callsAtOnce} calls of ${name}() at once keep users apart`,
    needs: name,
    async run(kit) {
      const authenticator = await kit.create();
      const users = await manyUsers(kit);
      const outcomes = await Promise.all(users.map(({ asked }) => ask(kit, authenticator, asked)));
      for (const [index, one] of users.entries()) judge(kit, one, outcomes[index] as Outcome<Value>);
    },
  };
}

/** Names that no user has: made up, queries and patterns, and known ones with something more. */
export function namesOfNoOne(kit: Kit): readonly LoggedIn[] {
  const made = [`nobody-${randomUUID()}`, 'a'.repeat(16 * 1024), 'a'.repeat(1024 * 1024), '\0', '\ud800', '\ufffd'];
  const hostile = [...memberTokens, ...injectionTokens].map(({ token }) => token);
  const changed = kit.harness.validTokens
    .slice(0, 4)
    .flatMap(({ user: { username: name } }) => [
      `${name}\0`,
      `${name}\0x`,
      `\0${name}`,
      `${name}\ud800`,
      `${name}\ufffd`,
      `${name}*`,
      `${name.slice(0, -1)}*`,
      `*)(|(uid=${name}`,
      `${name}' OR '1'='1`,
    ]);
  return [...made, ...hostile, ...changed].map((username) => ({ username }));
}

export function abortedCase(method: UserMethod): CaseDefinition {
  return {
    name: `${method.name}() ends by a throw when it is aborted`,
    needs: method.name,
    async run(kit) {
      const authenticator = await kit.create();
      for (const user of knownUsers(kit)) {
        const signal = AbortSignal.abort(new Error('the caller has gone'));
        const what = `${method.name}() and a signal that is aborted already`;
        await endsByThrow(
          kit,
          what,
          outcomeOf(() => method.call(authenticator, user, { signal })),
        );
        const controller = new AbortController();
        const call = outcomeOf(() => method.call(authenticator, user, { signal: controller.signal }));
        if (await settledInMicrotasks(call)) continue;
        controller.abort(new Error('the caller has gone'));
        await endsByThrow(kit, `${method.name}()`, call);
      }
    },
  };
}

export function abortedHangingCase(method: UserMethod): CaseDefinition {
  return {
    name: `${method.name}() ends when it is aborted while the backend hangs`,
    needs: method.name,
    needsBackend: true,
    async run(kit) {
      const backend = kit.backend();
      const authenticator = await kit.create();
      await backend.hang();
      for (const user of knownUsers(kit)) {
        const controller = new AbortController();
        const call = outcomeOf(() => method.call(authenticator, user, { signal: controller.signal }));
        // The turns let the call reach its socket.
        for (let turn = 0; turn < 10; turn += 1) await setImmediate();
        controller.abort(new Error('the caller has gone'));
        await endsByThrow(kit, `${method.name}()`, call);
      }
    },
  };
}

export function outageCase(method: UserMethod): CaseDefinition {
  return {
    name: `${method.name}() reports a stopped backend as unavailable`,
    needs: method.name,
    needsBackend: true,
    async run(kit) {
      const backend = kit.backend();
      const authenticator = await kit.create();
      await backend.stop();
      const asking = knownUsers(kit).map(async (user) => {
        const outcome = await outcomeAbout(kit, method, user, () =>
          method.call(authenticator, user, { signal: never }),
        );
        mustBeUnavailable(kit, `${method.name}() of ${nameOf(user)}`, outcome);
      });
      await Promise.all(asking);
    },
  };
}

export function secrecyCase(method: UserMethod): CaseDefinition {
  return {
    name: `${method.name}() says no password: not in an answer, a step, an error, a log line or a metric`,
    needs: method.name,
    async run(kit) {
      const authenticator = await kit.create();
      const said: unknown[] = [];
      const trace = (step: string) => said.push(step);
      const askAll = async (signal: AbortSignal) => {
        const asking = [...knownUsers(kit), ...namesOfNoOne(kit)].map((user) =>
          outcomeAbout(kit, method, user, () => method.call(authenticator, user, { signal, trace })),
        );
        said.push(...(await Promise.all(asking)));
      };
      await askAll(never);
      await askAll(AbortSignal.abort(new Error('the caller has gone')));
      if (!('none' in kit.harness.backend)) {
        await kit.backend().stop();
        await askAll(never);
      }
      for (const { lines, metrics } of kit.recordings) said.push(...lines, ...metrics);
      const found = secretFinder(kit.secrets).find(said);
      verify(found.length === 0, {
        expected: `${method.name}() to say no secret`,
        got: `${found.join(' and ')} is in what it said, as it is or encoded`,
        why: 'Operators see the steps, and logs reach people who must not act as these users.',
      });
    },
  };
}

const existing: CaseDefinition = {
  name: 'lookUp() and revalidate() are there exactly where the harness says so',
  async run(kit) {
    const { looksUpUsers = false, revalidation } = kit.harness;
    const authenticator = await kit.create();
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
};

export const userMethodsCases: readonly CaseDefinition[] = [existing];
