/** What people with a second factor, and accounts in the directory, do in a soak at all times. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Acts } from './acts.ts';
import type { Code, Factors } from './phone-acts.ts';
import type { Random } from './random.ts';
import type { Person, World } from './world.ts';

/** The people who log in at all times. The others log in during some faults. */
export const alwaysLoggingIn = 2;

/** Milliseconds between two logins, and between two changes of accounts. */
const pauses = { login: 1_500, account: 4_000 } as const;

/** Logs in with codes, at terminals and in browsers, one login after the other. */
export async function logInWithFactors(
  world: World,
  acts: Acts,
  { next, choose }: Random,
  isEnded: () => boolean,
): Promise<void> {
  const enrolled = new Map<Person, Factors>();
  const replica = () => choose(world.replicas).number;
  while (!isEnded()) {
    await sleep(next() * pauses.login);
    if (acts.areCommandsHeld()) continue;
    const person = choose(world.phoneOwners.slice(0, alwaysLoggingIn));
    const factors = enrolled.get(person) ?? (await enrolAgain(acts, person, replica()));
    if (factors !== undefined) {
      enrolled.set(person, factors);
      const code =
        (await acts.phones.codeOf(person, factors.apps[0])) ?? factors.recoveryCodes.pop();
      if (code === undefined || next() < 0.05) enrolled.delete(person);
      else await logInBy(world, acts, person, code, { next, choose });
    }
  }
}

/** Resets the factors of a person, and adds an app. @returns undefined if it failed */
export async function enrolAgain(
  { reset, phones }: Acts,
  person: Person,
  replica: number,
): Promise<Factors | undefined> {
  await reset(person);
  return await phones.enrol(person, replica);
}

async function logInBy(
  { replicas }: World,
  { phones, browsers, logOutEverywhere, sessions }: Acts,
  person: Person,
  code: Code,
  { next, choose }: Random,
): Promise<void> {
  const replica = () => choose(replicas).number;
  const kind = next();
  if (kind < 0.3) await phones.logIn(person, code, replica());
  else if (kind < 0.5)
    await Promise.all(replicas.map(({ number }) => phones.logIn(person, code, number)));
  else if (kind < 0.9) {
    const proved = await browsers.prove(person, code, replica());
    const confirmed = proved && (await browsers.confirm(proved, replica()));
    if (confirmed === undefined) return;
    const redeemers = kind < 0.7 ? replicas.map(({ number }) => number) : [replica()];
    await Promise.all(redeemers.map((number) => browsers.redeem(confirmed, number)));
    await browsers.redeem(confirmed, replica());
  } else {
    const session = sessions.findLast((made) => made.person === person);
    if (session !== undefined) await logOutEverywhere(session, replica());
  }
}

/** Changes the groups and the state of accounts in the directory, one after the other. */
export async function changeAccounts(
  world: World,
  acts: Acts,
  { next, choose }: Random,
  isEnded: () => boolean,
): Promise<void> {
  const { accounts, forget, block, unblock } = acts;
  const pause = async () => {
    let left = next() * pauses.account;
    for (; (left > 0 || acts.areCommandsHeld()) && !isEnded(); left -= 200) await sleep(200);
  };
  while (!isEnded()) {
    await pause();
    const account = choose(world.accounts);
    const named = { identity: { username: account.credential.account ?? '' } };
    const kind = next();
    try {
      if (kind < 0.5) await accounts.setOptionalGroup(account, next() < 0.5);
      else if (kind < 0.85) {
        await accounts.disable(account);
        await pause();
        await accounts.enable(account);
      } else if (kind < 0.92) await forget(named);
      else {
        await block(named);
        await pause();
        await unblock(named);
      }
    } catch {
      // The directory is down. The history has the change as not confirmed.
    }
  }
}
