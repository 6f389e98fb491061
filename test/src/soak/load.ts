/** The load of a soak, and whether the gateways answer it. */

import { randomToken } from '@sallyport/test-servers/tokens';
import { percentiles } from '../bench/drive.ts';
import { clusters } from '../testing/ask-login.ts';
import { type Acts, createActs } from './acts.ts';
import type { Fault } from './history.ts';
import { abandonedAfter } from './limits.ts';
import { changeAccounts, logInWithFactors } from './login-load.ts';
import type { Random } from './random.ts';
import type { Session } from './sessions.ts';
import { settleTime, watchMachine } from './watch-machine.ts';
import type { Credential, Person, World } from './world.ts';

/** The outcomes of one kind of request. */
export interface Counts {
  /** The oracle checks these. */
  answered: number;
  /** The result was an error, while a part that it needs was hit by a fault. */
  unavailable: number;
  /** The result was an error, though no part that it needs was hit. A few are no problem: no one was let in or refused. */
  unexplained: number;
}

export interface SoakLoad {
  readonly acts: Acts;
  readonly counts: ReadonlyMap<string, Counts>;
  /** People who do everything, whose passwords are guessed, who are blocked during some faults, and who log in only then. */
  readonly groups: Readonly<Record<'busy' | 'attacked' | 'blocked' | 'quiet', readonly Person[]>>;
  /** The latencies of the answers since the last call, in milliseconds. */
  latencies(): { readonly p50: number; readonly p99: number };
  /** Waits until each kind was answered some times in a row, without errors. @throws Error if that takes too long */
  recovered(): Promise<void>;
  /** Ends the load. It resolves when all requests have their answers. */
  stop(): Promise<void>;
}

const workers = 6;
/** The maximum number of milliseconds between two acts of one worker. */
const maxPause = 100;

/** Milliseconds between two reviews of one hammer. */
const hammerPause = 5;

/** The parts that each kind of request needs. An error is expected only while a fault hits one of them. */
const needs: Readonly<Record<string, Fault['hits']>> = {
  'static token': ['replica'],
  'malformed review': ['replica'],
  'robot token': ['tokens', 'replica'],
  'unknown token': ['directory', 'cache', 'replica'],
  password: ['directory', 'cache', 'replica'],
  session: ['tokens', 'directory', 'cache', 'replica'],
  login: ['tokens', 'directory', 'cache', 'replica'],
  logout: ['tokens', 'cache', 'replica'],
  'directory token': ['directory', 'cache', 'replica'],
};

/** The same for kinds that are too rare to show a recovery. */
const needsOfRare: Readonly<Record<string, Fault['hits']>> = {
  'login with a code': ['tokens', 'directory', 'cache', 'replica'],
  'step of a login in a browser': ['tokens', 'directory', 'cache', 'replica'],
};

/** The number of answers in a row of each kind that shows that all has recovered. */
const inARow = 3;
/** Milliseconds without an error after which all has recovered. A lookup may wait for its `timeout`, 3 s. */
const quietTime = 4_000;
const maxRecovery = 60_000;

/** The maximum number of sessions of one user. More are logged out. */
const maxSessions = 12;

export function startSoakLoad(world: World, random: Random): SoakLoad {
  const counts = new Map<string, Counts>();
  const streaks = new Map<string, number>();
  let times: number[] = [];
  let lastError = 0;
  const judgements: Promise<void>[] = [];
  let ended = false;
  const acts = createActs(world, random.next, (kind, begin, problem) => note(kind, begin, problem));
  const some = (from: number, to: number) => world.people.slice(from, to);
  const groups = {
    busy: some(0, 6),
    attacked: some(6, 8),
    blocked: some(8, 10),
    quiet: some(10, 12),
  };
  const isExcused = (kind: string, since: number) => {
    const hasHit = (parts: Fault['hits'], from: number) =>
      acts.faults.some(({ end, hits }) => end >= from && hits.some((part) => parts.includes(part)));
    const isLogin = kind === 'password' || kind.includes('login');
    return (
      hasHit(needs[kind] ?? needsOfRare[kind] ?? [], since) ||
      (isLogin && hasHit(['cache', 'replica'], since - abandonedAfter))
    );
  };
  function note(kind: string, begin: number, problem: string | undefined): void {
    const count = counts.get(kind) ?? { answered: 0, unavailable: 0, unexplained: 0 };
    counts.set(kind, count);
    if (problem === undefined) {
      times.push(performance.now() - begin);
      count.answered += 1;
      streaks.set(kind, (streaks.get(kind) ?? 0) + 1);
      return;
    }
    streaks.set(kind, 0);
    lastError = performance.now();
    // What explains it may be noted later.
    judgements.push(sleep(settleTime).then(() => judge(count, kind, begin, problem)));
  }
  function judge(count: Counts, kind: string, begin: number, problem: string): void {
    const isExpected = isExcused(kind, begin);
    count[isExpected ? 'unavailable' : 'unexplained'] += 1;
    if (!isExpected) console.error(`without a fault, ${kind}: ${problem}`);
  }
  const work = async (): Promise<void> => {
    while (!ended) {
      await actOnce(world, acts, groups, random);
      await sleep(random.next() * maxPause);
    }
  };
  const hammer = async (isSecond: boolean): Promise<void> => {
    while (!ended) {
      const begin = performance.now();
      const member = random.choose(world.members);
      note(
        'static token',
        begin,
        await hammerOnce(world, member, isSecond, acts.wrong).catch(String),
      );
      await sleep(hammerPause);
    }
  };
  const all = Promise.all([
    ...Array.from({ length: workers }, work),
    ...[false, true].map(hammer),
    administer(world, acts, groups.busy, random, () => ended),
    logInWithFactors(world, acts, random, () => ended),
    changeAccounts(world, acts, random, () => ended),
    watchMachine(world, acts.noteFault, () => ended),
  ]);
  // `stop` reports it.
  all.catch(() => {});
  return {
    acts,
    counts,
    groups,
    latencies() {
      const some = percentiles(times);
      times = [];
      return some;
    },
    async recovered() {
      const end = performance.now() + maxRecovery;
      streaks.clear();
      lastError = performance.now();
      const missing = () => Object.keys(needs).filter((kind) => (streaks.get(kind) ?? 0) < inARow);
      while (performance.now() - lastError < quietTime || missing().length > 0) {
        if (performance.now() > end)
          throw new Error(
            `no recovery within ${maxRecovery} ms of: ${missing().join(', ') || 'all'}`,
          );
        await sleep(20);
      }
    },
    async stop() {
      ended = true;
      await all;
      await Promise.all(judgements);
    },
  };
}

export const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Sends one of very many reviews, which show what grows with each of them. Its answer is checked here. @returns a problem */
async function hammerOnce(
  { replicas }: World,
  { token, user }: Credential,
  isSecond: boolean,
  wrong: string[],
): Promise<string | undefined> {
  const [first] = replicas;
  const status = await first?.review(
    token,
    clusters.prod.audience,
    isSecond ? 'v1' : 'v1beta1',
    isSecond,
  );
  if (status === undefined || status.error !== undefined) return status?.error ?? 'no answer';
  if (status.user?.username !== user?.username)
    wrong.push(`a static token of ${user?.username}: ${JSON.stringify(status)}`);
  return undefined;
}

/** Draws one act by its weight, and does it. */
async function actOnce(
  world: World,
  acts: Acts,
  groups: SoakLoad['groups'],
  { next, choose }: Random,
): Promise<void> {
  const { sessions, show, logIn, logOut } = acts;
  const replica = () => choose(world.replicas).number;
  const person = choose(groups.busy);
  const victim = choose(groups.attacked);
  const guess = () => world.passwordOf(victim, randomToken());
  const recent = () => sessions.slice(-60);
  const onSession = (act: (session: Session) => Promise<unknown>) => async () => {
    if (sessions.length > 0) await act(choose(recent()));
  };
  const kinds: readonly (readonly [weight: number, act: () => Promise<unknown>])[] = [
    [22, () => show(person.credential, replica())],
    [28, onSession((session) => show(session, replica()))],
    [12, () => show(choose(world.robots), replica())],
    [8, () => show(choose(world.members), replica())],
    [6, () => show(world.newCredential('unknown token', randomToken()), replica())],
    [4, () => acts.sendMalformed(replica())],
    [8, () => show(choose(world.accounts).credential, replica())],
    [5, () => show(person.old.at(-1) ?? person.credential, replica())],
    [3, () => show(guess(), replica())],
    [3, () => show(victim.credential, replica())],
    [1, () => logIn(victim, guess(), replica())],
    [1, () => logIn(person, person.old.at(-1) ?? person.credential, replica())],
    [5, () => logInOrOut(acts, person, replica())],
    [2, onSession((session) => logOut(session, replica()))],
    [2, onSession((session) => show(session, replica(), 'staging'))],
    [2, () => acts.everywhere(choose([person.credential, ...recent(), ...world.robots]))],
  ];
  let left = next() * kinds.reduce((sum, [weight]) => sum + weight, 0);
  for (const [weight, act] of kinds) {
    left -= weight;
    if (left < 0) return void (await act());
  }
}

async function logInOrOut(
  { sessions, loggedOut, logIn, logOut }: Acts,
  person: Person,
  replica: number,
): Promise<void> {
  const open = sessions
    .filter((session) => session.person === person && !loggedOut.has(session))
    .slice(-maxSessions);
  const [oldest] = open;
  if (oldest !== undefined && open.length === maxSessions) await logOut(oldest, replica);
  else await logIn(person, person.credential, replica);
}

/** Blocks, unblocks and revokes, one after the other. */
async function administer(
  world: World,
  acts: Acts,
  people: readonly Person[],
  random: Random,
  isEnded: () => boolean,
): Promise<void> {
  const pause = async () => {
    let left = 2_000 + random.next() * 4_000;
    for (; (left > 0 || acts.areCommandsHeld()) && !isEnded(); left -= 200) await sleep(200);
  };
  while (!isEnded()) {
    await pause();
    const person = random.choose(people);
    const kind = random.next();
    if (kind < 0.5) {
      await acts.block(person);
      await pause();
      await acts.unblock(person);
    } else if (kind < 0.7) await acts.forget(person);
    else await acts.revoke(random.choose(world.robots));
  }
}
