/** The acts of people, robots and administrators in a soak. Each act goes into the history when it begins. */
import { clusters } from '../testing/ask-login.ts';
import { randomToken, sha256 } from '../testing/tokens.ts';
import type {
  Attempt,
  Ended,
  Event,
  Fault,
  Identity,
  Made,
  ObservedAnswer,
  UserAct,
} from './oracle.ts';
import type { Credential, Person, World } from './world.ts';

export interface Session extends Credential {
  readonly person: Person;
}

/** A fault that is about to begin. */
export type Failing = Omit<Fault, 'begin' | 'end' | 'what'>;

export interface Acts {
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
  /** Blocks a person. @returns whether the command exits with 0: all replicas have confirmed it */
  block(person: Person): Promise<boolean>;
  unblock(person: Person): Promise<boolean>;
  /** Runs `revoke --user`. It exits with 3 when the user has no session, and all replicas have forgotten what they cached. */
  forget(person: Person): Promise<boolean>;
  revoke(robot: Credential): Promise<void>;
  /** Does `work`, then `recover`, and notes the fault from the begin to the end of both. */
  during(fault: Failing, work: () => Promise<void>, recover: () => Promise<void>): Promise<void>;
}

type Distributed<One> = One extends unknown ? Omit<One, 'begin' | 'end'> : never;

const now = (): number => performance.now();

/** @param random in [0, 1) @param onOutcome is called for each request. Without a problem, the oracle checks the answer */
export function createActs(
  world: World,
  random: () => number,
  onOutcome: Notes['onOutcome'],
): Acts {
  const history: Event[] = [];
  const wrong: string[] = [];
  const begin = <One extends Event>(event: Distributed<One>): One => {
    const begun = { ...event, begin: now(), end: Number.POSITIVE_INFINITY } as unknown as One;
    history.push(begun);
    return begun;
  };
  const end = (event: Event): void => {
    event.end = now();
  };
  const faults: Fault[] = [];
  const notes = { wrong, begin, end, onOutcome };
  for (const credential of [
    ...world.members,
    ...world.robots,
    ...world.people.map(({ credential }) => credential),
  ]) {
    end(begin({ what: 'made', secret: credential }));
  }
  const attempts = createAttempts(world, random, notes);
  return {
    history,
    faults,
    wrong,
    ...attempts,
    ...createChanges(world, notes),
    ...createCommands(world, notes),
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

interface Notes {
  readonly wrong: string[];
  begin<One extends Event>(event: Distributed<One>): One;
  end(event: Event): void;
  onOutcome(kind: string, begin: number, problem: string | undefined): void;
}

function createAttempts(
  world: World,
  random: () => number,
  { wrong, begin, end, onOutcome }: Notes,
) {
  const sessions: Session[] = [];
  const loggedOut = new Set<Session>();
  const replicaAt = (at: number) => {
    const replica = world.replicas[at];
    if (replica === undefined) throw new Error(`there is no replica ${at}`);
    return replica;
  };

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
      const { authenticated, user, error } = await replicaAt(replica).review(
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
    let session: Session | undefined;
    await ask(event, 'login', async () => {
      const answer = await replicaAt(replica).askLogin({
        body: { username, password: rest.join(':'), cluster: 'prod' },
      });
      if (answer.status === 401) return 'refused';
      if (answer.status !== 201) throw new Error(`the login was answered ${answer.status}`);
      const user = answer.json?.user as Parameters<typeof identityOf>[0];
      session = {
        ...world.newCredential('session', String(answer.json?.token), person.identity),
        person,
      };
      return identityOf(user);
    });
    if (session === undefined) return undefined;
    const made = begin({ what: 'made', secret: session });
    Object.assign(made, { begin: event.begin, end: event.end });
    sessions.push(session);
    return session;
  }
  async function logOut(session: Session, replica: number): Promise<boolean> {
    const event = begin<Ended>({ what: 'logout', secret: session, isSure: false });
    const answer = replicaAt(replica).askLogin({
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
  async function sendMalformed(replica: number): Promise<void> {
    const begun = now();
    const status = await replicaAt(replica)
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
    sendMalformed,
  };
}

function identityOf({
  username,
  groups = [],
  uid,
}: {
  username: string;
  groups?: readonly string[];
  uid?: string;
}): Identity {
  return { username, groups, uid };
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

/** The commands of administrators, one at a time: the effect of two concurrent ones depends on their order. */
function createCommands(world: World, { begin, end }: Notes) {
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <Result>(work: () => Promise<Result>): Promise<Result> => {
    const next = last.then(work);
    last = next.catch(() => undefined);
    return next;
  };
  async function act(
    what: UserAct['what'],
    person: Person,
    words: readonly string[],
    known: readonly number[],
  ) {
    const event = begin<UserAct>({ what, username: person.identity.username, isSure: false });
    const code = await world.command([
      ...words,
      '--user',
      person.identity.username,
      '--by',
      'soak',
    ]);
    end(event);
    event.isSure = code !== null && known.includes(code);
    return event.isSure;
  }
  return {
    block: (person: Person) => inTurn(() => act('block', person, ['block', '--for', '8h'], [0])),
    unblock: (person: Person) => inTurn(() => act('unblock', person, ['unblock'], [0])),
    forget: (person: Person) => inTurn(() => act('forget', person, ['revoke'], [0, 3])),
    revoke: (robot: Credential) =>
      inTurn(async () => {
        const event = begin<Ended>({ what: 'revoke', secret: robot, isSure: false });
        const digest = sha256(robot.token);
        const code = await world.command(['revoke', '--digest', digest, '--by', 'soak']);
        end(event);
        event.isSure = code === 0;
      }),
  };
}
