import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseWords, targetOptions } from '../arguments.ts';
import { cacheOfUser } from '../cache/folder.ts';
import { parseSession, removeSession, type Session } from '../cache/session-file.ts';
import { openStore } from '../cache/store.ts';
import { Failure, warn } from '../failure.ts';
import { logOut, logOutEverywhere } from '../server/login-server.ts';
import { cachedSession, notLoggedIn } from '../session.ts';
import { printable } from '../text.ts';
import { localTime } from '../times.ts';
import { targetOfUser } from '../user-target.ts';

/** Ends the session at the server, and forgets it here. `--all` ends those of the user's other devices, too. */
export async function logout(words: readonly string[]): Promise<void> {
  const { values } = parseWords(words, { ...targetOptions, all: { type: 'boolean' } });
  const all = values.all ?? false;
  const target = await targetOfUser(values);
  const store = openStore(cacheOfUser(), target, warn);
  const session = cachedSession(target, store)?.session;
  const cluster = printable(target.cluster);
  if (session === undefined) {
    // The sessions of a user can't be ended for one who is not logged in.
    if (all) throw await notLoggedIn(target, 'only a session can end the others');
    process.stdout.write(`not logged in to cluster ${cluster}\n`);
    return;
  }
  const ending = all ? logOutEverywhere(target, session.token) : logOut(target, session.token);
  const ended = await ending.catch((error: unknown) => explain(error, session)).finally(() => store.remove(session));
  if (!all) {
    process.stdout.write(`logged out ${printable(session.user)} of cluster ${cluster}\n`);
    return;
  }
  if (ended === undefined) throw await notLoggedIn(target, 'this session had ended, so it could not end the others');
  forgetAll(target.url, session.user);
  process.stdout.write(`logged out ${printable(session.user)} everywhere: ${ended} sessions ended\n`);
}

/** The session is forgotten here, and may go on at the server. */
function explain(error: unknown, { user, expiresAt }: Session): never {
  if (!(error instanceof Failure)) throw error;
  throw new Failure(
    `${error.message}. The session is forgotten here, but at the server it lasts until ${localTime(expiresAt)} at most. ` +
      `To end it, log in again and run: kubectl sallyport logout --all; or ask your administrator to revoke ${printable(user)}`,
    error.exitCode,
    { cause: error },
  );
}

/** The sessions of the user for other clusters have ended as well. */
function forgetAll(url: string, user: string): void {
  const folder = cacheOfUser();
  for (const name of readdirSync(folder).filter((one) => one.endsWith('.json'))) {
    const file = join(folder, name);
    const session = parseSession(readFileSync(file, 'utf8'));
    if (session?.url === url && session.user === user) removeSession(file);
  }
}
