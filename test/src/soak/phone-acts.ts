/** What people with an authenticator app do at a terminal, by the API that `kubectl sallyport` uses. */

import { secret } from '@sallyport/test-servers/tokens';
import { appCode } from '../testing/authenticator-app.ts';
import type { Binds } from './binds.ts';
import type { Attempt, Made, Secret, Use } from './history.ts';
import { type Notes, now, replicaAt } from './notes.ts';
import { identityOf, type KeepSession, type Session } from './sessions.ts';
import type { Credential, Person, World } from './world.ts';

/** A code that works once. */
export interface Code {
  readonly secret: Credential;
  readonly step?: Use['step'];
}

/** An authenticator app. */
interface App {
  readonly secret: Secret;
  /** By which the gateway knows it. */
  readonly id: string;
  readonly key: string;
  /** The first step whose code was not made. */
  next: number;
}

/** The second factors of a person, from an enrolment to a reset. */
export interface Factors {
  /** The first app was there first. */
  readonly apps: readonly [App, ...App[]];
  readonly recoveryCodes: Code[];
}

export interface PhoneActs {
  /** Adds the first app, by an invitation. @returns undefined if it failed */
  enrol(person: Person, replica: number): Promise<Factors | undefined>;
  /** Adds another app. It uses up a recovery code. @returns undefined if it failed */
  addApp(person: Person, factors: Factors, replica: number): Promise<Factors | undefined>;
  /** Makes a code that was not made before. @returns undefined if all codes of this time were made */
  codeOf(person: Person, app: App): Promise<Code | undefined>;
  /** Logs in with the password and a code. @returns undefined if it was refused or failed */
  logIn(person: Person, code: Code, replica: number): Promise<Session | undefined>;
  /** Notes the use of a code. @returns what `work` returns */
  useCode(
    code: Code,
    replica: number,
    work: () => Promise<NonNullable<Use['answer']>>,
  ): Promise<NonNullable<Use['answer']>>;
}

/** The length of a step in milliseconds: RFC 6238. */
const stepLength = 30_000;

interface Parts {
  readonly binds: Binds;
  readonly keepSession: KeepSession;
}

export function createPhoneActs(
  world: World,
  notes: Notes,
  { binds, keepSession }: Parts,
): PhoneActs {
  const { begin, end, onOutcome } = notes;
  const useCode: PhoneActs['useCode'] = async ({ secret: code, step }, replica, work) => {
    const use = begin<Use>({ what: 'use', replica, secret: code, ...(step && { step }) });
    use.answer = await work().catch(() => 'error' as const);
    end(use);
    return use.answer;
  };
  const codeOf: PhoneActs['codeOf'] = async ({ identity }, app) => {
    const present = Math.floor(Date.now() / stepLength);
    // The code of the next step is valid, too.
    if (app.next > present + 1) return undefined;
    const step = Math.max(app.next, present);
    app.next = step + 1;
    const text = await appCode(app.key, ((step + 0.5) * stepLength - Date.now()) / 1_000);
    const code = makeCode(identity, text);
    return { ...code, step: { app: app.secret, number: step } };
  };
  const makeCode = (identity: Person['identity'], text: string): Code => {
    const code = world.newCredential('code', text, identity);
    end(begin<Made>({ what: 'made', secret: code }));
    return { secret: code };
  };
  /** @param proof the invitation, or a code */
  async function add(
    person: Person,
    proof: Readonly<Record<string, string>>,
    replica: number,
  ): Promise<{ readonly app: App; readonly recoveryCodes: Code[] } | undefined> {
    const { name, identity } = person;
    const ask = (body: object) => replicaAt(world, replica).askLogin({ path: '/v1/factors', body });
    const begun = await ask({
      username: name,
      password: passwordOf(person),
      label: 'phone',
      ...proof,
    });
    if (begun.status !== 200) return undefined;
    const key = secret(String(begun.json?.secret));
    const added = world.newCredential('app', key, identity);
    const app: App = { secret: added, id: '', key, next: 0 };
    const made = begin<Made>({ what: 'made', secret: added });
    const code = await codeOf(person, app);
    if (code === undefined) return undefined;
    let json: Readonly<Record<string, unknown>> | undefined;
    await useCode(code, replica, async () => {
      const answer = await ask({ enrolment: begun.json?.enrolment, code: code.secret.token });
      if (answer.status !== 201) return answer.status < 429 ? 'refused' : 'error';
      json = answer.json;
      return 'accepted';
    });
    end(made);
    if (json === undefined) return undefined;
    const codes = (json.recoveryCodes ?? []) as readonly string[];
    const { id } = json.factor as { readonly id: string };
    return {
      app: { ...app, id },
      recoveryCodes: codes.map((text) => makeCode(identity, secret(text))),
    };
  }
  return {
    useCode,
    codeOf,
    async enrol(person, replica) {
      const words = ['factor', 'invite', '--user', person.identity.username, '-o', 'json'];
      const { code, stdout } = await world.run(words);
      if (code !== 0) return undefined;
      const invitation = secret(String((JSON.parse(stdout) as { code: string }).code));
      const added = await add(person, { invitation }, replica).catch(() => undefined);
      return added && { apps: [added.app], recoveryCodes: added.recoveryCodes };
    },
    async addApp(person, { apps, recoveryCodes }, replica) {
      const code = recoveryCodes.pop();
      if (code === undefined) return undefined;
      const added = await add(person, { code: code.secret.token }, replica).catch(() => undefined);
      return added && { apps: [...apps, added.app], recoveryCodes };
    },
    async logIn(person, code, replica) {
      const { name, credential } = person;
      const login = begin<Attempt>({ what: 'login', replica, secret: credential });
      const body = {
        username: name,
        password: passwordOf(person),
        cluster: 'prod',
        code: code.secret.token,
      };
      let token: string | undefined;
      let problem: string | undefined;
      const answer = await useCode(code, replica, async () => {
        const { status, json } = await replicaAt(world, replica).askLogin({ body });
        if (status === 401) return 'refused';
        if (status !== 201) throw new Error(String(status));
        token = secret(String(json?.token));
        login.answer = identityOf(json?.user as Parameters<typeof identityOf>[0]);
        return 'accepted';
      });
      end(login);
      if (answer === 'error') problem = `a login with a code failed, ${name} at replica ${replica}`;
      onOutcome('login with a code', login.begin, problem);
      if (token === undefined) return undefined;
      const redeemedFrom = login.begin;
      const provedBy = binds.firstSince(name, redeemedFrom) ?? now();
      const app = code.step && { app: code.step.app };
      return keepSession(person, token, { ...login, login: { provedBy, redeemedFrom, ...app } });
    },
  };
}

/** The password of a person, which the token contains. */
export function passwordOf({ name, credential }: Person): string {
  return Buffer.from(credential.token, 'base64')
    .toString()
    .slice(name.length + 1);
}
