import type { BrowserWay, Login, Place } from './browser/way.ts';
import type { SavedSession } from './cache/session-file.ts';
import type { CacheStore } from './cache/store.ts';
import { Failure, usageFailure } from './failure.ts';
import { checkTimeout, readState } from './server/login-server.ts';
import type { Target } from './target.ts';
import { commandFor, notLoggedIn } from './user-target.ts';

/** A session is renewed this many milliseconds before its end: a request that is on its way must not come too late. */
export const margin = 30_000;

/**
 * kubectl runs the plugin again after a 401, and does not say why: the token may be the reason if
 * it was used in this time.
 */
const suspicious = 10_000;

/** A session that was not used for this time may have ended, idle or revoked: kubectl's first request would fail. */
const forgotten = 5 * 60_000;

/** Finds the cached session, unless it has expired or its server says that it has ended. */
export async function usableSession(
  target: Target,
  store: CacheStore,
): Promise<SavedSession | undefined> {
  const cached = cachedSession(target, store);
  if (cached === undefined) return;
  const { session, usedAt } = cached;
  const now = Date.now();
  if (session.expiresAt - margin <= now) return;
  const unused = now - usedAt;
  if (unused >= suspicious && unused < forgotten) return session;
  // A server that is unavailable, or does not prove who it is, ends no session: kube-apiserver decides.
  const state = await readState(target, session.token, checkTimeout).catch(() => 'unknown');
  if (state !== undefined) return session;
  store.remove(session);
  return;
}

/** Reads the cached session. @returns undefined even when it is of another user than the target */
export function cachedSession({ username, isProposed }: Target, store: CacheStore) {
  const cached = store.read();
  const isOwn =
    username === undefined ||
    cached?.session.username === username ||
    (isProposed && cached?.session.proposal === username);
  return isOwn ? cached : undefined;
}

/** Logs in, once for all processes that need it. @throws Failure with the command to run */
export async function logInOnce(
  target: Target,
  store: CacheStore,
  login: Login,
): Promise<SavedSession> {
  await refuseWithoutUser(target, login);
  const refusePrompt = async () => {
    if (!login.source?.isPrompt || store.prompts.allows()) return;
    throw await notLoggedIn(target, 'three prompts led to no login in 15m');
  };
  await refusePrompt();
  using lock = await store.lock();
  const usable = await usableSession(target, store);
  if (usable !== undefined) return usable;
  // The login of the other kubectl was refused or not answered, and this login would be as well.
  if (lock.waited) throw await notLoggedIn(target, 'another kubectl could not log in');
  await refusePrompt();
  // While another kubectl waits for its browser, it has the lock.
  if (login.source === undefined && login.mode !== 'print-url' && !store.windows.allows()) {
    const cause = 'the browser that kubectl started in the last 15m led to no login';
    throw await notLoggedIn(target, cause);
  }
  // `await` keeps the lock until the login has ended.
  return await newSession(target, store, login);
}

/** Logs in with a password, or with a browser if the server and the user want that. @throws Failure */
export async function newSession(
  target: Target,
  store: CacheStore,
  login: Login,
): Promise<SavedSession> {
  const { source } = login;
  const { sessionByPassword } = await import('./password-login.ts');
  if (source !== undefined && !source.isPrompt)
    return await sessionByPassword(target, store, login, source);
  const { chooseWay, findPlace, listWays } = await import('./browser/way.ts');
  const place = findPlace(login);
  const offer = await listWays(target, place);
  const inBrowser = async (user: Target, browserWay: BrowserWay) => {
    const { logInWithBrowser } = await import('./browser/browser-login.ts');
    return await logInWithBrowser(user, store, login, browserWay);
  };
  const browserWay = chooseWay(place, offer);
  if (browserWay !== undefined) return await inBrowser(target, browserWay);
  if (source === undefined) throw await noWay(target, place);
  return await sessionByPassword(target, store, login, source, async (user) => {
    // For this user, it is as if the server accepted no passwords.
    const passkeyWay = chooseWay(place, { ...offer, passwords: false });
    if (passkeyWay === undefined) throw await needsBrowser(target, offer.browser);
    return await inBrowser(user, passkeyWay);
  });
}

async function needsBrowser(target: Target, isOffered: boolean): Promise<Failure> {
  return new Failure(
    `${target.url}: this account logs in with a passkey, which needs a browser`,
    isOffered
      ? `run: ${await commandFor(target)} --browser`
      : 'ask your administrator for login.browser: true',
  );
}

/** Ends a command that has no way to reach its user before it waits for others. @throws Failure */
export async function refuseWithoutUser(target: Target, login: Login): Promise<void> {
  // A terminal, a file or standard input is enough.
  if (login.source !== undefined) return;
  const { canLogIn, findPlace } = await import('./browser/way.ts');
  const place = findPlace(login);
  if (!canLogIn(place)) throw await noWay(target, place);
}

async function noWay(target: Target, { isPlugin, mode }: Place): Promise<Failure> {
  if (isPlugin) return await notLoggedIn(target, 'there is no terminal to ask for a password');
  if (mode === 'browser' || mode === 'print-url') {
    const problem =
      'there is no display for a browser, and standard input is not a terminal for its code';
    return usageFailure(problem, 'run this in a terminal');
  }
  return usageFailure(
    'standard input is not a terminal, so no password can be typed',
    'use --password-stdin, or set SALLYPORT_PASSWORD_FILE',
  );
}
