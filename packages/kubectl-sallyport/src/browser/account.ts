import type { SavedSession } from '../cache/session-file.ts';
import { Failure } from '../failure.ts';
import { logOut, type NewSession } from '../server/login-server.ts';
import { initCommand } from '../server/request.ts';
import type { Target } from '../target.ts';
import { shellWord } from '../text.ts';
import { commandFor } from '../user-target.ts';

/** Why the user of a login is refused. */
interface AccountRefusal {
  /** The name that was expected. */
  readonly expected: string;
  readonly error: Failure;
}

/**
 * Checks who has logged in with a browser. Other users of this machine can read the URL in its list of processes, and log in there as
 * themselves: `kubectl` would act as them.
 *
 * @param lastUser the user of the last login on this machine
 * @returns how the session is found again; the session of a user who is refused is ended
 */
export async function checkUser(
  target: Target,
  session: NewSession,
  lastUser: string | undefined,
): Promise<Pick<SavedSession, 'username' | 'proposal'> | AccountRefusal> {
  const { username: account, isProposed } = target;
  const { user } = session;
  if (account !== undefined && isAccount(account, session)) return { username: account };
  if (account !== undefined && !isProposed)
    return { expected: account, error: await refuse(target, account, session) };
  if (lastUser !== undefined && lastUser !== user)
    return { expected: lastUser, error: await refuseChange(target, lastUser, session) };
  return { username: user, proposal: account ?? '' };
}

/**
 * Says whether a login is for the account that someone named. The server says which name was typed on its page, or which name the
 * provider gave. Kubernetes may see another one, such as `corp:jane`: a prefix ends with a mark, or `jane` would accept
 * `corp:adm-jane`.
 */
function isAccount(account: string, { user, login }: NewSession): boolean {
  const name = account.toLowerCase();
  const full = user.toLowerCase();
  if (login?.toLowerCase() === name || full === name) return true;
  return full.endsWith(name) && /[:/#|\\]$/.test(full.slice(0, full.length - name.length));
}

/** Ends the session of another user: kubectl must not use it in a context that names an account. */
async function refuse(
  target: Target,
  account: string,
  { user, token }: NewSession,
): Promise<Failure> {
  const end = await endSession(target, token);
  const otherLogin = initCommand({ ...target, account: 'NAME' });
  return new Failure(
    `this login is for ${account}, but ${user} logged in: ${end}`,
    `log in as ${account} in the browser. For another account, run: ${otherLogin}`,
  );
}

/** Ends the session of a user who differs from the user of the last login: no one has named this user on this machine. */
async function refuseChange(
  target: Target,
  lastUser: string,
  { user, login, token }: NewSession,
): Promise<Failure> {
  const end = await endSession(target, token);
  const command = await commandFor(target);
  const name = shellWord(login ?? user);
  // With --url, --username names an account that has its own sessions.
  const change = command.includes(' --url ')
    ? `SALLYPORT_USERNAME=${name} ${command}`
    : `${command} --username ${name}`;
  return new Failure(
    `${user} logged in, but the last login to cluster ${target.cluster} on this machine was ${lastUser}: ${end}`,
    `log in as ${lastUser}. If you are ${user}, because you use another account or yours was renamed, run: ${change}`,
  );
}

async function endSession(target: Target, token: string): Promise<string> {
  return await logOut(target, token).then(
    () => 'this session was ended',
    () => 'this session could not be ended',
  );
}
