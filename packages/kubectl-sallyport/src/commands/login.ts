import { rmSync } from 'node:fs';
import { browserMode, parseWords, targetOptions, tokenOptions } from '../arguments.ts';
import type { SavedSession } from '../cache/session-file.ts';
import { openCacheStore } from '../cache/store.ts';
import { execCredential, readExecInfo } from '../exec-credential.ts';
import { Failure, usageFailure, warn } from '../failure.ts';
import { deviceName, passwordSource } from '../password.ts';
import { logOut, logOutEverywhere } from '../server/login-server.ts';
import {
  cachedSession,
  logInOnce,
  margin,
  newSession,
  refuseWithoutUser,
  usableSession,
} from '../session.ts';
import { targetFrom } from '../target.ts';
import { localTime, loginText, printable } from '../text.ts';
import { notLoggedIn, targetOfUser } from '../user-target.ts';
import { checkedServer, refuseOtherServer, rememberServer } from './cluster-server.ts';

/** Writes an ExecCredential to standard output, and nothing else. kubectl runs this command. */
export async function token(words: readonly string[]): Promise<void> {
  const { values } = parseWords(words, tokenOptions);
  const mode = browserMode(values);
  const info = readExecInfo(process.env.KUBERNETES_EXEC_INFO);
  const target = info === undefined ? await targetOfUser(values) : targetFrom(values, info.config);
  // The current context may be for another cluster, which must not get this token.
  if (target === undefined) {
    throw usageFailure(
      'it is not known which cluster to log in to: this client does not pass on the data of the cluster',
      'run: kubectl sallyport init URL CLUSTER (it sets provideClusterInfo: true and the extension of the cluster). For a client ' +
        'without support for provideClusterInfo, add a context for it: kubectl sallyport init URL CLUSTER --no-cluster-info --context NAME',
    );
  }
  const store = openCacheStore(target);
  let session = await usableSession(target, store);
  if (session === undefined) {
    const source = passwordSource(info === undefined || info.interactive);
    const device = deviceName(values.device);
    session = await logInOnce(target, store, { source, device, mode, isPlugin: true });
  }
  await refuseOtherServer(target, info?.server, store);
  store.noteUse();
  process.stdout.write(execCredential(info?.version, session.token, session.expiresAt - margin));
}

/** Logs in, even when there is a session: it may be of another account, or have old groups. */
export async function login(words: readonly string[]): Promise<void> {
  const { values } = parseWords(words, {
    ...tokenOptions,
    'allow-server': { type: 'string' },
    'password-stdin': { type: 'boolean' },
  });
  const mode = browserMode(values);
  const allowed = values['allow-server'];
  // `token` has no such option: a kubeconfig could be someone else's.
  const allowedServer = allowed === undefined ? undefined : checkedServer(allowed);
  const source = passwordSource(true, values['password-stdin']);
  if (source?.isPrompt === false && mode !== undefined && mode !== 'no-browser') {
    throw usageFailure(
      `--${mode} is for a login without a password file or --password-stdin`,
      `leave out --${mode}, or --password-stdin and SALLYPORT_PASSWORD_FILE`,
    );
  }
  const target = await targetOfUser(values);
  const login = { source, device: deviceName(values.device), mode, isPlugin: false };
  await refuseWithoutUser(target, login);
  const store = openCacheStore(target);
  using _lock = await store.lock();
  const oldSession = store.read()?.session;
  const session = await newSession(target, store, login);
  // If the old session can't be ended now, it expires by itself.
  if (oldSession !== undefined) await logOut(target, oldSession.token).catch(() => undefined);
  // If it fails, kubectl's first call asks again.
  await rememberServer(target, store).catch(() => undefined);
  if (allowedServer !== undefined) store.memory.allowServer(allowedServer);
  process.stdout.write(loginText(session));
}

/**
 * Ends the session at the server, and then removes it here: without its token it could not be ended. `--all` also ends the
 * sessions of the user's other devices.
 */
export async function logout(words: readonly string[]): Promise<void> {
  const { values } = parseWords(words, { ...targetOptions, all: { type: 'boolean' } });
  const isEverywhere = values.all ?? false;
  const target = await targetOfUser(values);
  const store = openCacheStore(target);
  const session = cachedSession(target, store)?.session;
  const cluster = printable(target.cluster);
  if (session === undefined) {
    // Only a user who is logged in can end their sessions.
    if (isEverywhere) throw await notLoggedIn(target, 'only a session can end the others');
    process.stdout.write(`not logged in to cluster ${cluster}\n`);
    return;
  }
  const ending = isEverywhere
    ? logOutEverywhere(target, session.token)
    : logOut(target, session.token);
  const ended = await ending.catch((error: unknown) => explain(error, session));
  store.remove(session);
  if (ended?.isUnconfirmed) warnUnconfirmed(session);
  if (!isEverywhere) {
    process.stdout.write(`logged out ${printable(session.user)} of cluster ${cluster}\n`);
    return;
  }
  if (ended === undefined)
    throw await notLoggedIn(target, 'this session had ended, so it could not end the others');
  // The sessions for other clusters have ended as well.
  const endedFiles = store
    .sessionsOfServer()
    .filter((cached) => cached.session.user === session.user);
  for (const { file } of endedFiles) rmSync(file, { force: true });
  const count = `${ended.ended} ${ended.ended === 1 ? 'session' : 'sessions'}`;
  process.stdout.write(`logged out ${printable(session.user)} everywhere: ${count} ended\n`);
}

function warnUnconfirmed({ user, expiresAt }: SavedSession): void {
  warn(
    `no replica of the server's Redis has confirmed this logout: if that Redis fails over now, the session is valid until ${localTime(expiresAt)} at most`,
    `to be sure, log in again and run: kubectl sallyport logout --all; or ask your administrator to revoke ${user}`,
  );
}

/**
 * Says that the session stays here, since it may go on at the server.
 *
 * @returns nothing when it has expired: there is nothing to end
 */
function explain(error: unknown, { user, expiresAt }: SavedSession): undefined {
  if (!(error instanceof Failure)) throw error;
  if (expiresAt <= Date.now()) return;
  throw new Failure(
    `${error.problem}. The session is kept here, since it might be valid until ${localTime(expiresAt)}`,
    `to end it, run this again, or ask your administrator to revoke ${user}`,
    { cause: error, exitCode: error.exitCode },
  );
}
