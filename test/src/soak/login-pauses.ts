/** A replica that is paused at one step of a login, while the sessions of its user end. */
import { createHash } from 'node:crypto';
import { sleep } from './load.ts';
import {
  chooseEndings,
  createVisitor,
  prepareEnding,
  showUntilSettled,
  type Visitor,
} from './login-faults.ts';
import { uidOf } from './people.ts';
import type { Place } from './place.ts';
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
