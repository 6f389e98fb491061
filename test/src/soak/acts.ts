/** The acts of people, robots and administrators in a soak. Each act goes into the history when it begins. */

import { randomToken } from '@sallyport/test-servers/tokens';
import { clusters } from '../testing/ask-login.ts';
import { type AccountActs, createAccountActs } from './account-acts.ts';
import { type Binds, watchBinds } from './binds.ts';
import { type BrowserActs, createBrowserActs } from './browser-acts.ts';
import { type Commands, createCommands } from './commands.ts';
import type { Attempt, Ended, Event, Fault, Made, ObservedAnswer, UserAct } from './history.ts';
import { createNotes, type Notes, now, replicaAt } from './notes.ts';
import { createPhoneActs, type PhoneActs } from './phone-acts.ts';
import { identityOf, type KeepSession, type Session } from './sessions.ts';
import type { Credential, Person, World } from './world.ts';

/** A fault that is about to begin. */
export type Failing = Omit<Fault, 'begin' | 'end' | 'what'>;

export interface Acts extends Commands {
  readonly history: readonly Event[];
  readonly faults: readonly Fault[];
  /** Answers that are wrong whatever the history is. */
  readonly wrong: string[];
  /** All sessions in the order of their logins, even those that were ended. */
  readonly sessions: readonly Session[];
  readonly loggedOut: ReadonlySet<Session>;
  /** Sends a review. @param cluster the cluster that asks. Default: `prod`, for which all sessions are */
  show(credential: Credential, replica: number, cluster?: 'prod' | 'staging'): Promise<void>;
  /** Shows the same secret to all replicas at the same moment. @param times how often to each. Default 1 */
  everywhere(credential: Credential, times?: number): Promise<void>;
  /** Logs in. @returns undefined if it was refused or failed */
  logIn(person: Person, credential: Credential, replica: number): Promise<Session | undefined>;
  /** Logs out. @returns whether the answer says that the session has ended */
  logOut(session: Session, replica: number): Promise<boolean>;
  sendMalformed(replica: number): Promise<void>;
  changePassword(person: Person): Promise<void>;
  /** Adds a static token. @param work ends when all replicas have the file */
  add(credential: Credential, work: () => Promise<void>): Promise<void>;
  remove(credential: Credential, work: () => Promise<void>): Promise<void>;
  readonly phones: PhoneActs;
  readonly browsers: BrowserActs;
  readonly accounts: AccountActs;
  readonly binds: Binds;
  /** Logs out of all sessions of a user. @returns whether the answer says that they have ended */
  logOutEverywhere(session: Session, replica: number): Promise<boolean>;
  /** Notes a fault that no scenario causes. */
  noteFault(fault: Fault): void;
  /** Does `work`, then `recover`, and notes the fault from the begin to the end of both. */
  during(fault: Failing, work: () => Promise<void>, recover: () => Promise<void>): Promise<void>;
}

/** @param random in [0, 1) @param onOutcome is called for each request. Without a problem, the oracle checks the answer */
export function createActs(
  world: World,
  random: () => number,
  onOutcome: Notes['onOutcome'],
): Acts {
  const history: Event[] = [];
  const notes = createNotes(history, onOutcome);
  const { wrong, begin, end } = notes;
  const faults: Fault[] = [];
  for (const credential of [
    ...world.members,
    ...world.robots,
    ...[...world.people, ...world.phoneOwners, ...world.accounts].map(
      ({ credential }) => credential,
    ),
  ]) {
    end(begin({ what: 'made', secret: credential }));
  }
  const { keepSession, ...attempts } = createAttempts(world, random, notes);
  const binds = watchBinds(world, notes);
  const phones = createPhoneActs(world, notes, { binds, keepSession });
  return {
    history,
    faults,
    wrong,
    binds,
    phones,
    browsers: createBrowserActs(world, notes, { useCode: phones.useCode, keepSession }),
    accounts: createAccountActs(world, notes),
    ...attempts,
    ...createChanges(world, notes),
    ...createCommands(world, notes),
    noteFault(fault) {
      history.push(fault);
      faults.push(fault);
    },
    async during(fault, work, recover) {
      const event = begin<Fault>({ what: 'fault', ...fault });
      faults.push(event);
      try {
        await work();
      } finally {
        await recover();
        end(event);
      }
    },
  };
}

function createAttempts(
  world: World,
  random: () => number,
  { wrong, begin, end, onOutcome }: Notes,
) {
  const sessions: Session[] = [];
  const loggedOut = new Set<Session>();
  async function ask(
    event: Attempt,
    kind: string,
    work: () => Promise<ObservedAnswer>,
  ): Promise<void> {
    let problem: string | undefined;
    const answer = await work().catch((error: unknown) => {
      problem = `${error instanceof Error ? error.message : error}, ${event.secret.user?.username} at replica ${event.replica}`;
      if (/answered 500/.test(problem)) wrong.push(`${kind}: ${problem}`);
      return 'error' as const;
    });
    end(event);
    event.answer = answer;
    onOutcome(kind, event.begin, problem);
  }
  async function show(
    credential: Credential,
    replica: number,
    cluster: 'prod' | 'staging' = 'prod',
  ): Promise<void> {
    const isForeign = credential.kind === 'session' && cluster === 'staging';
    const event = begin<Attempt>({
      what: 'review',
      replica,
      secret: credential,
      ...(isForeign && { isForeign }),
    });
    const version = random() < 0.1 ? 'v1beta1' : 'v1';
    await ask(event, credential.kind, async () => {
      const { audience } = clusters[cluster];
      const { authenticated, user, error } = await replicaAt(world, replica).review(
        credential.token,
        audience,
        version,
        random() < 0.5,
      );
      if (error !== undefined) throw new Error(error);
      return authenticated && user ? identityOf(user) : 'refused';
    });
  }
  async function logIn(
    person: Person,
    credential: Credential,
    replica: number,
  ): Promise<Session | undefined> {
    const [username = '', ...rest] = Buffer.from(credential.token, 'base64').toString().split(':');
    const event = begin<Attempt>({ what: 'login', replica, secret: credential });
    let token: string | undefined;
    await ask(event, 'login', async () => {
      const answer = await replicaAt(world, replica).askLogin({
        body: { username, password: rest.join(':'), cluster: 'prod' },
      });
      if (answer.status === 401) return 'refused';
      if (answer.status !== 201) throw new Error(`the login was answered ${answer.status}`);
      const user = answer.json?.user as Parameters<typeof identityOf>[0];
      token = String(answer.json?.token);
      return identityOf(user);
    });
    return token === undefined ? undefined : keepSession(person, token, event);
  }
  function keepSession(
    ...[person, token, { begin: from, end: until, login }]: Parameters<KeepSession>
  ): Session {
    const session = { ...world.newCredential('session', token, person.identity), person };
    const made = begin<Made>({ what: 'made', secret: session, ...(login && { login }) });
    Object.assign(made, { begin: from, end: until });
    sessions.push(session);
    return session;
  }
  async function logOut(session: Session, replica: number): Promise<boolean> {
    const event = begin<Ended>({ what: 'logout', secret: session, isSure: false });
    const answer = replicaAt(world, replica).askLogin({
      method: 'DELETE',
      path: '/v1/session',
      token: session.token,
    });
    const status = await answer.then(
      (one) => one.status,
      () => 503,
    );
    // After a 200, a failover can undo the logout.
    event.isSure = status === 204;
    const isError = status === 429 || status === 503;
    if (!isError) loggedOut.add(session);
    if (!isError && ![200, 204, 401].includes(status))
      wrong.push(`a logout was answered ${status}`);
    end(event);
    onOutcome('logout', event.begin, isError ? String(status) : undefined);
    return event.isSure;
  }
  async function logOutEverywhere(session: Session, replica: number): Promise<boolean> {
    const { username } = session.person.identity;
    const event = begin<UserAct>({ what: 'everywhere', username, isSure: false });
    const request = { method: 'DELETE', path: '/v1/sessions', token: session.token };
    const answer = await replicaAt(world, replica)
      .askLogin(request)
      .catch(() => undefined);
    // Whoever `unconfirmed` counts can be back after a failover.
    event.isSure = answer?.status === 200 && answer.json?.unconfirmed === undefined;
    end(event);
    const isError = answer === undefined || answer.status >= 429;
    onOutcome('logout', event.begin, isError ? String(answer?.status) : undefined);
    return event.isSure;
  }
  async function sendMalformed(replica: number): Promise<void> {
    const begun = now();
    const status = await replicaAt(world, replica)
      .send('{"kind":"TokenReview"')
      .catch(() => 'error' as const);
    if (status !== 400 && status !== 'error')
      wrong.push(`a malformed review was answered ${status}`);
    onOutcome('malformed review', begun, status === 'error' ? status : undefined);
  }
  return {
    sessions,
    loggedOut,
    show,
    async everywhere(credential: Credential, times = 1): Promise<void> {
      const all = world.replicas.flatMap(({ number }) =>
        Array.from({ length: times }, () => show(credential, number)),
      );
      await Promise.all(all);
    },
    logIn,
    logOut,
    logOutEverywhere,
    sendMalformed,
    keepSession,
  };
}

/** The changes of a backend. */
function createChanges(world: World, { begin, end }: Notes) {
  return {
    async changePassword(person: Person): Promise<void> {
      const password = randomToken();
      const credential = world.passwordOf(person, password);
      const [ended, made] = [
        begin<Ended>({ what: 'new password', secret: person.credential, isSure: false }),
        begin<Made>({ what: 'made', secret: credential }),
      ];
      await world.slapd.modify(
        `dn: ${person.dn}\nchangetype: modify\nreplace: userPassword\nuserPassword: ${password}\n`,
      );
      end(ended);
      end(made);
      ended.isSure = true;
      person.old.push(person.credential);
      Object.assign(person, { credential });
    },
    async remove(credential: Credential, work: () => Promise<void>): Promise<void> {
      const event = begin<Ended>({ what: 'removal', secret: credential, isSure: false });
      await work();
      end(event);
      event.isSure = true;
    },
    async add(credential: Credential, work: () => Promise<void>): Promise<void> {
      const event = begin({ what: 'made', secret: credential });
      await work();
      end(event);
    },
  };
}
