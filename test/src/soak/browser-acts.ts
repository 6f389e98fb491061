/** Logins in a browser, step by step, at any replicas: by HTTP, as a page without scripts does them. */

import { secret } from '@sallyport/test-servers/tokens';
import type { LoginAnswer, LoginRequest } from '../testing/ask-login.ts';
import {
  type BegunLogin,
  beginLogin,
  codeOf,
  confirmLogin,
  createFormBrowser,
  type FormBrowser,
  formTokenOf,
  sendPassword,
  tokenOf,
} from '../testing/browser-login.ts';
import type { Ended, Made, Secret } from './history.ts';
import { type Notes, now, replicaAt } from './notes.ts';
import { type Code, type PhoneActs, passwordOf } from './phone-acts.ts';
import type { KeepSession, Session } from './sessions.ts';
import type { Credential, Person, World } from './world.ts';

/** A login that has been proved, and is not confirmed yet. */
interface ProvedLogin {
  readonly person: Person;
  readonly begun: Pick<BegunLogin, 'path'> & Partial<BegunLogin>;
  readonly browser: FormBrowser;
  /** From now on, this replica gets the requests of the browser. */
  moveTo(replica: number): void;
  readonly from: number;
  /** The password had been sent by this time. */
  readonly provedBy: number;
  readonly app?: Secret;
}

/** A login that waits for its client. */
interface ConfirmedLogin extends ProvedLogin {
  readonly code: Credential;
}

export interface BrowserActs {
  /** Begins a login, and proves the password, and the second factor if there is a code. @returns undefined if that failed */
  prove(person: Person, code: Code | undefined, replica: number): Promise<ProvedLogin | undefined>;
  confirm(login: ProvedLogin, replica: number): Promise<ConfirmedLogin | undefined>;
  redeem(login: ConfirmedLogin, replica: number): Promise<Session | undefined>;
  /** Removes a factor on the page of factors. @returns whether it is removed */
  removeApp(
    person: Person,
    code: Code,
    app: { readonly id: string; readonly secret: Secret },
    replica: number,
  ): Promise<boolean>;
}

/** How the message of an error begins that an outage explains. */
const outage = 'no answer';

interface Parts {
  readonly useCode: PhoneActs['useCode'];
  readonly keepSession: KeepSession;
}

export function createBrowserActs(
  world: World,
  { begin, end, onOutcome, wrong }: Notes,
  { useCode, keepSession }: Parts,
): BrowserActs {
  /** Asks a login server. @throws Error for an answer that an outage explains */
  async function ask(replica: number, request: LoginRequest): Promise<LoginAnswer> {
    const answer = await replicaAt(world, replica)
      .askLogin(request)
      .catch((error: unknown) => {
        throw new Error(`${outage}: ${error}`);
      });
    if (answer.status === 500) wrong.push(`${request.path} was answered 500`);
    if (answer.status >= 429) throw new Error(`${outage}: ${answer.status} at replica ${replica}`);
    return answer;
  }
  /** Does one step. A refusal is no problem: an administrator may have ended the login. */
  async function step<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
    const begun = now();
    let problem: string | undefined;
    const result = await work().catch((error: unknown) => {
      if (error instanceof Error && error.message.startsWith(outage)) problem = error.message;
      return undefined;
    });
    onOutcome('step of a login in a browser', begun, problem);
    return result;
  }
  function openBrowser(replica: number) {
    let at = replica;
    const place = { ask: (request: LoginRequest) => ask(at, request) };
    const moveTo = (next: number) => {
      at = next;
    };
    return { place, moveTo, browser: createFormBrowser(place) };
  }
  /** Sends the password, and a code if one is asked for. @throws Error unless the login goes on */
  async function proveAll(
    login: Pick<ProvedLogin, 'person' | 'begun' | 'browser'>,
    code: Code | undefined,
    replica: number,
  ): Promise<number> {
    const { person, begun, browser } = login;
    const sent = await sendPassword(browser, begun, {
      name: person.name,
      password: passwordOf(person),
    });
    const provedBy = now();
    const isAsked = locationOf(sent).endsWith('/factor');
    if (isAsked && code !== undefined) {
      const form = formTokenOf(await browser.get(`${begun.path}/factor`));
      const answer = await useCode(code, replica, async () => {
        const proved = await browser.post(`${begun.path}/factor`, {
          form,
          code: code.secret.token,
        });
        const isAccepted = proved.status === 303 && !locationOf(proved).endsWith('/factor');
        return isAccepted ? 'accepted' : 'refused';
      });
      if (answer !== 'accepted') throw new Error(`the code was ${answer}`);
    } else if (isAsked || sent.status !== 303)
      throw new Error(`the password was answered ${sent.status}`);
    return provedBy;
  }
  return {
    prove: (person, code, replica) =>
      step(async () => {
        const from = now();
        const { place, moveTo, browser } = openBrowser(replica);
        const begun = await beginLogin(place);
        const provedBy = await proveAll({ person, begun, browser }, code, replica);
        const app = code?.step && { app: code.step.app };
        return { person, begun, browser, moveTo, from, provedBy, ...app };
      }),
    confirm: (login, replica) =>
      step(async () => {
        login.moveTo(replica);
        const text = codeOf(await confirmLogin(login.browser, login.begun));
        const code = world.newCredential('page code', text, login.person.identity);
        end(begin<Made>({ what: 'made', secret: code }));
        return { ...login, code };
      }),
    async redeem(login, replica) {
      const { person, code, begun, provedBy, from, app } = login;
      const redeemedFrom = now();
      let token: string | undefined;
      await useCode({ secret: code }, replica, async () => {
        const body = { id: begun.id, code: code.token, verifier: begun.verifier };
        const answer = await ask(replica, { body });
        if (answer.status !== 201) return 'refused';
        token = tokenOf(answer);
        return 'accepted';
      });
      if (token === undefined) return undefined;
      const how = { provedBy, redeemedFrom, ...(app && { app }) };
      return keepSession(person, token, { begin: from, end: now(), login: how });
    },
    async removeApp(person, code, app, replica) {
      const removed = await step(async () => {
        const { browser } = openBrowser(replica);
        const path = locationOf(await browser.get('/login/factors'));
        secret(path.slice('/login/'.length));
        await proveAll({ person, begun: { path }, browser }, code, replica);
        const form = formTokenOf(await browser.get(`${path}/factors`));
        const removal = begin<Ended>({
          what: 'removal',
          secret: app.secret,
          isSure: false,
        });
        const answer = await browser.post(`${path}/factors`, {
          form,
          action: 'remove',
          id: app.id,
        });
        end(removal);
        removal.isSure = locationOf(answer).endsWith('?removed');
        return removal.isSure;
      });
      return removed ?? false;
    },
  };
}

const locationOf = ({ headers }: LoginAnswer): string => headers.location ?? '';
