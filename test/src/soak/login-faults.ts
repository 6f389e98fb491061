/** What comes between the steps of a login: acts that end sessions, and a replica that is paused. */
import { createHash } from 'node:crypto';
import type { Acts } from './acts.ts';
import { sleep } from './load.ts';
import { alwaysLoggingIn, enrolAgain } from './login-load.ts';
import type { Code, Factors } from './phone-acts.ts';
import { uidOf } from './people.ts';
import { insist, type Place, repeat } from './place.ts';
import type { Session } from './sessions.ts';
import type { Person, Replica, World } from './world.ts';

/** The steps of a login at which a replica is paused. */
export const loginSteps = ['proof', 'code', 'writing', 'confirmation', 'redemption'] as const;
export type LoginStep = (typeof loginSteps)[number];

/** Milliseconds by which answers of the session Redis are late, so that a pause comes in time. */
const redisDelay = 60;
/** The maximum number of milliseconds of a pause, in which a busy machine begins a command. */
const maxPause = 20_000;
/** Milliseconds without a change of the revocation list after which a command waits for the replicas, for 5 s. */
const quietTime = 1_000;

/** Someone who is about to log in. */
interface Visitor {
  readonly person: Person;
  readonly factors: Factors;
  takeCode(): Code;
}

/** @throws Error if no one can be enrolled, though all has recovered */
async function createVisitor({ world, load, random }: Place): Promise<Visitor> {
  const person = random.choose(world.phoneOwners.slice(alwaysLoggingIn));
  let factors: Factors | undefined;
  await insist(async () => {
    factors = await enrolAgain(load.acts, person, random.choose(world.replicas).number);
    return factors !== undefined;
  });
  if (factors === undefined) throw new Error('no one can add an app, though all has recovered');
  const { recoveryCodes } = factors;
  return {
    person,
    factors,
    takeCode() {
      const code = recoveryCodes.pop();
      if (code === undefined) throw new Error('there are ten recovery codes');
      return code;
    },
  };
}

const endings = ['forget', 'everywhere', 'block', 'disable', 'reset'] as const;
type Ending = (typeof endings)[number];

/** Chooses an act. A reset is the last one, since it removes the factors. */
const chooseEndings = ({ random }: Place): readonly Ending[] => [
  random.choose(endings.slice(0, -1)),
  'reset',
];

/** Prepares an act that ends the sessions of a person. @returns functions that do it and undo it */
async function prepareEnding(
  { load, random, world }: Place,
  { person, takeCode }: Pick<Visitor, 'person' | 'takeCode'>,
  ending: Ending,
) {
  const { acts } = load;
  const [, ...others] = world.replicas;
  const { number } = random.choose(others);
  const session = ending === 'everywhere' && (await acts.phones.logIn(person, takeCode(), number));
  const act = async (at: number): Promise<void> => {
    if (session) await acts.logOutEverywhere(session, at);
    else if (ending === 'disable') await acts.accounts.disable(person);
    else if (ending !== 'everywhere') await acts[ending](person);
  };
  const undo = async (): Promise<void> => {
    if (ending === 'block') await insist(() => acts.unblock(person));
    if (ending === 'disable') await acts.accounts.enable(person);
  };
  return { act, undo };
}

/** Shows sessions until each cached answer about them has expired. */
async function showUntilSettled(
  acts: Acts,
  sessions: readonly (Session | undefined)[],
  ending: Ending | 'removal',
): Promise<void> {
  // The state of an account is the last to be known everywhere.
  await repeat(ending === 'disable' ? 13 : 6, 700, () =>
    Promise.all(sessions.map((session) => session && acts.everywhere(session))),
  );
}

/** Ends the sessions of a user between the steps of a login, at any replicas. Nothing else fails. */
export async function endSessionsWithinLogin(place: Place): Promise<void> {
  const { world, load, random } = place;
  const { acts } = load;
  const replica = () => random.choose(world.replicas).number;
  const visitor = await createVisitor(place);
  const { person, takeCode } = visitor;
  for (const ending of chooseEndings(place)) {
    const { act, undo } = await prepareEnding(place, visitor, ending);
    const first = await acts.browsers.prove(person, takeCode(), replica());
    const second = await acts.browsers.prove(person, takeCode(), replica());
    const confirmed = second && (await acts.browsers.confirm(second, replica()));
    await act(replica());
    const late = first && (await acts.browsers.confirm(first, replica()));
    const sessions = await Promise.all(
      [confirmed, late].map((login) => login && acts.browsers.redeem(login, replica())),
    );
    await showUntilSettled(acts, sessions, ending);
    await undo();
  }
}

/** Removes an app whose code has proved a login that is in progress. */
export async function removeAppWithinLogin(place: Place): Promise<void> {
  const { world, load, random } = place;
  const { acts } = load;
  const replica = () => random.choose(world.replicas).number;
  const { person, factors, takeCode } = await createVisitor(place);
  const both = await acts.phones.addApp(person, factors, replica());
  const [stolen] = factors.apps;
  const code = await acts.phones.codeOf(person, stolen);
  if (both === undefined || code === undefined) return;
  const proved = await acts.browsers.prove(person, code, replica());
  const confirmed = proved && (await acts.browsers.confirm(proved, replica()));
  await acts.browsers.removeApp(person, takeCode(), { ...stolen }, replica());
  const session = confirmed && (await acts.browsers.redeem(confirmed, replica()));
  await showUntilSettled(acts, [session], 'removal');
  // A code of an app that is removed opens nothing.
  const late = await acts.phones.codeOf(person, stolen);
  if (late !== undefined) await acts.phones.logIn(person, late, replica());
}

/** Pauses a replica at one step of a login, while the sessions of its user are ended. */
export async function pauseWithinLogin(place: Place, step: LoginStep): Promise<void> {
  const { world, load } = place;
  const visitor = await createVisitor(place);
  for (const ending of chooseEndings(place)) {
    const [paused, other] = chooseTwo(place);
    const { act, undo } = await prepareEnding(place, visitor, ending);
    const begin = await prepareStep(place, visitor, step, paused.number);
    const kind = `replica: pause at the ${step} of a login, ${ending}`;
    let session: Session | undefined;
    await place.during({ kind, hits: ['replica', 'tokens'], replica: paused.number }, async () => {
      using _held = await load.acts.holdCommands();
      world.tokens.slowDown?.(paused.number, redisDelay);
      const login = begin();
      await Promise.race([login.reached, login.session]);
      const { pid } = paused.gateway;
      process.kill(pid, 'SIGSTOP');
      const acting = act(other.number);
      try {
        await Promise.race([acting, untilPublished(world)]);
      } finally {
        process.kill(pid, 'SIGCONT');
        world.tokens.slowDown?.(paused.number, 0);
      }
      session = await login.session;
      await acting;
    });
    await showUntilSettled(load.acts, [session], ending);
    await undo();
  }
}

function chooseTwo({ world, random }: Place): readonly [Replica, Replica] {
  const paused = random.choose(world.replicas);
  return [paused, random.choose(world.replicas.filter((replica) => replica !== paused))];
}

/** A login that has begun, and when it has reached the step. */
interface Begun {
  readonly session: Promise<Session | undefined>;
  readonly reached: Promise<unknown>;
}

/** Does the steps before this one. @returns a function that begins the step */
async function prepareStep(
  { world, load: { acts }, random }: Place,
  { person, takeCode }: Visitor,
  step: LoginStep,
  replica: number,
): Promise<() => Begun> {
  const { browsers, phones, binds } = acts;
  const soon = () => sleep(random.next() * 2 * redisDelay);
  if (step === 'confirmation' || step === 'redemption') {
    const first = random.choose(world.replicas).number;
    const proved = await browsers.prove(person, takeCode(), first);
    const confirm = async (at: number) => proved && (await browsers.confirm(proved, at));
    const confirmed = step === 'redemption' ? await confirm(first) : undefined;
    return () => ({
      session: (confirmed ? Promise.resolve(confirmed) : confirm(replica)).then(
        (login) => login && browsers.redeem(login, replica),
      ),
      reached: soon(),
    });
  }
  const code = takeCode();
  const used = await watchRecord(world, person);
  return () => {
    const bound = binds.next(person.name);
    const session = phones.logIn(person, code, replica);
    if (step === 'proof') return { session, reached: bound };
    const isEnded = session.then(() => true);
    const reached = used(isEnded);
    return { session, reached: step === 'code' ? reached : reached.then(soon) };
  };
}

/** Waits until the record of a person's second factors changes, which a used code does. */
async function watchRecord({ tokens }: World, { name }: Person) {
  const digest = createHash('sha256')
    .update(JSON.stringify(['corp', 'uid', uidOf(name)]))
    .digest('hex');
  const key = `sallyport:factor:${digest}`;
  const node = await tokens.masterOf(key);
  const before = await node.client().get(key);
  return async (ended: Promise<boolean>): Promise<void> => {
    let isEnded = false;
    void ended.then(() => {
      isEnded = true;
    });
    while (!isEnded && (await node.client().get(key)) === before) await sleep(1);
  };
}

/** Waits until the revocation list has changed for the last time: `factor reset` changes it more than once. */
async function untilPublished({ cache }: World): Promise<void> {
  const key = 'sallyport:{revocations}:revision';
  const node = await cache.masterOf(key);
  let last = await node.client().get(key);
  let changedAt = Number.POSITIVE_INFINITY;
  const end = performance.now() + maxPause;
  while (performance.now() < Math.min(end, changedAt + quietTime)) {
    await sleep(20);
    const revision = await node.client().get(key);
    if (revision !== last) changedAt = performance.now();
    last = revision;
  }
}
