import type { Session } from './cache/session-file.ts';
import type { Store } from './cache/store.ts';
import { Failure } from './failure.ts';
import type { PasswordSource } from './password.ts';
import { checkTimeout, logIn, readState } from './server/login-server.ts';
import type { Target } from './target.ts';
import { loginCommand } from './user-target.ts';

/** Before its end, a session is renewed: a request that is on its way must not come too late. In milliseconds. */
export const margin = 30_000;

/** kubectl runs the plugin again after a 401, and does not say why: so soon, the token may be the reason. */
const suspicious = 10_000;

/** So long after its last use, a session may have ended: idle, or revoked. kubectl's first request would fail. */
const forgotten = 5 * 60_000;

/** @returns the cached session, unless it has ended or its server says so */
export async function usableSession(target: Target, store: Store): Promise<Session | undefined> {
  const cached = cachedSession(target, store);
  if (cached === undefined) return;
  const { session, usedAt } = cached;
  const now = Date.now();
  if (session.expiresAt - margin <= now) return;
  const unused = now - usedAt;
  if (unused >= suspicious && unused < forgotten) return session;
  // A server that is away, or that does not prove who it is, ends no session: kube-apiserver decides.
  const state = await readState(target, session.token, checkTimeout).catch(() => 'unknown');
  if (state !== undefined) return session;
  store.remove(session);
  return;
}

/** @returns undefined also when it is that of another user than the one who is asked for */
export function cachedSession({ username }: Target, store: Store) {
  const cached = store.read();
  return username === undefined || cached?.session.username === username ? cached : undefined;
}

/** Logs in, once for all processes that need it. @throws Failure with the command to run */
export async function logInOnce(target: Target, store: Store, source: PasswordSource): Promise<Session> {
  const refuseSurplus = async () => {
    if (!source.isPrompt || store.prompts.allows()) return;
    throw await notLoggedIn(target, 'three prompts led to no login in 15 minutes');
  };
  await refuseSurplus();
  using lock = await store.lock();
  const found = await usableSession(target, store);
  if (found !== undefined) return found;
  // It was refused or not answered, and so would this one be.
  if (lock.waited) throw await notLoggedIn(target, 'another kubectl could not log in');
  await refuseSurplus();
  // The lock is held until it is done.
  return await newSession(target, store, source);
}

/** Logs in. The user may try three times at a prompt. @throws Failure */
export async function newSession(target: Target, store: Store, source: PasswordSource): Promise<Session> {
  const { url, cluster } = target;
  for (let tries = source.isPrompt ? 3 : 1; tries > 0; tries--) {
    const credentials = await source.read(target, store);
    const login = await logIn(target, { ...credentials, cluster, device: source.device });
    if (login !== undefined) {
      const session = { url, cluster, username: credentials.username, ...login };
      store.write(session);
      store.prompts.succeeded();
      return session;
    }
    if (tries > 1) process.stderr.write('wrong name or password, or this user may not log in\n');
  }
  throw new Failure(`${url}: wrong name or password, or this user may not log in to cluster ${cluster}`);
}

/** @param why such as `standard input is no terminal` */
export async function notLoggedIn(target: Target, why?: string): Promise<Failure> {
  const reason = why === undefined ? '' : `, and ${why}`;
  const login = await loginCommand(target);
  return new Failure(`not logged in to cluster ${target.cluster}${reason}. Run: ${login}`);
}
