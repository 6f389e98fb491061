/** Acts that end sessions, between the steps of a login. */
import type { Acts } from './acts.ts';
import { alwaysLoggingIn, enrolAgain } from './login-load.ts';
import type { Code, Factors } from './phone-acts.ts';
import { insist, type Place, repeat } from './place.ts';
import type { Session } from './sessions.ts';
import type { Person } from './world.ts';

/** Someone who is about to log in. */
export interface Visitor {
  readonly person: Person;
  readonly factors: Factors;
  takeCode(): Code;
}

/** @throws Error if no one can be enrolled, though all has recovered */
export async function createVisitor({ world, load, random }: Place): Promise<Visitor> {
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
export const chooseEndings = ({ random }: Place): readonly Ending[] => [
  random.choose(endings.slice(0, -1)),
  'reset',
];

/** An act that ends the sessions of a person. */
interface PreparedEnding {
  /** @param replica where a person does it */
  act(replica: number): Promise<void>;
  undo(): Promise<void>;
}

/** Prepares an act that ends the sessions of a person. */
export async function prepareEnding(
  { load, random, world }: Place,
  { person, takeCode }: Pick<Visitor, 'person' | 'takeCode'>,
  ending: Ending,
): Promise<PreparedEnding> {
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
export async function showUntilSettled(
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
