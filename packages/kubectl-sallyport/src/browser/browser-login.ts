import { createHash, randomBytes } from 'node:crypto';
import type { SavedSession } from '../cache/session-file.ts';
import type { CacheStore } from '../cache/store.ts';
import { Failure, readReason, warn } from '../failure.ts';
import type { Target } from '../target.ts';
import { loginText, printable } from '../text.ts';
import { notLoggedIn } from '../user-target.ts';
import { checkUser } from './account.ts';
import { beginLogin, redeem } from './browser-server.ts';
import { askForCode, type CodeQuestion } from './code-prompt.ts';
import { type Listener, openListener } from './listener.ts';
import { openBrowser } from './opener.ts';
import { type Page, pages } from './pages.ts';
import type { BrowserWay, Login } from './way.ts';

/** A login server gives no more time, in milliseconds. */
const maxWait = 10 * 60_000;
/** kubectl waits this long, and so do others that need the same session. */
const maxPluginWait = 5 * 60_000;
/** A program of this machine that knows the ID of a login could send wrong codes without end. */
const maxCodes = 5;

/** A login that has begun at the server. */
interface BrowserLogin extends Awaited<ReturnType<typeof beginLogin>> {
  readonly verifier: string;
  readonly device: string;
  readonly listener: Listener | undefined;
  readonly opens: boolean;
  /** Limits the windows of a plugin. */
  readonly windows: CacheStore['windows'] | undefined;
  /** The user of the last login on this machine. */
  readonly lastUser: string | undefined;
}

/** The end of an exchange: the page to show, and a session or an error unless the code is refused. */
interface Exchange {
  readonly page: Page;
  readonly session?: SavedSession;
  readonly error?: unknown;
}

/** Logs in with a browser: its page sends the code to a port of this machine, or the user pastes it. @throws Failure */
export async function logInWithBrowser(
  target: Target,
  store: CacheStore,
  login: Login,
  browserWay: BrowserWay,
): Promise<SavedSession> {
  const hasTerminal = login.source !== undefined;
  if (hasTerminal && login.isPlugin) store.prompts.begin();
  const windows = login.isPlugin ? store.windows : undefined;
  const verifier = randomBytes(32).toString('base64url');
  const listener = browserWay.listens ? await listen(hasTerminal) : undefined;
  try {
    // Without a terminal, a plugin comes here only if it is allowed to open one.
    const opens = browserWay.opens && (!hasTerminal || (windows?.allows() ?? true));
    const { device } = login;
    const begun = await beginLogin(target, {
      challenge: createHash('sha256').update(verifier).digest('base64url'),
      port: listener?.port,
      cluster: target.cluster,
      // A URL that people copy is short: the server gets the device later, and a name that no one asked for can be typed on the page.
      username: opens || !target.isProposed ? target.username : undefined,
      ...(opens && { device }),
    });
    const lastUser = store.memory.read().user;
    const attempt = { ...begun, verifier, device, listener, opens, windows, lastUser };
    const session = await waitForLogin(target, login, attempt);
    store.write(session);
    store.prompts.succeeded();
    store.windows.succeeded();
    // Another command says it as its result.
    if (login.isPlugin) process.stderr.write(loginText(session));
    return session;
  } finally {
    await listener?.close();
  }
}

async function listen(hasTerminal: boolean): Promise<Listener | undefined> {
  try {
    return await openListener();
  } catch (cause) {
    // Without a port, the page shows the code.
    if (hasTerminal) return;
    const problem = `can't listen on 127.0.0.1 for the browser: ${readReason(cause)}`;
    throw new Failure(problem, 'log in at a terminal', { cause });
  }
}

/** Waits for a code of the browser or of the user, for a failure, or for the end of the time. @throws Failure */
async function waitForLogin(
  target: Target,
  login: Login,
  attempt: BrowserLogin,
): Promise<SavedSession> {
  const over = new AbortController();
  const unneeded = new AbortController();
  const { promise, resolve, reject } = Promise.withResolvers<SavedSession>();
  const fail = (reason: string) => void notLoggedIn(target, reason).then(reject, reject);
  const results = new Map<string, Promise<Exchange>>();
  let refused = 0;
  async function take(code: string): Promise<Page> {
    const earlierResult = results.get(code);
    if (earlierResult === undefined && over.signal.aborted) return pages.failed;
    if (earlierResult === undefined && results.size === maxCodes) return pages.refused;
    const result = earlierResult ?? exchange(target, code, attempt, unneeded.signal);
    results.set(code, result);
    const { page, session, error } = await result;
    if (session !== undefined) resolve(session);
    else if (error !== undefined) reject(error);
    else if (earlierResult === undefined && ++refused === maxCodes)
      fail(`the login server refused ${maxCodes} codes`);
    return page;
  }
  attempt.listener?.waitFor({
    id: attempt.id,
    url: attempt.url,
    async onVisit(visit) {
      if (visit.kind === 'code') return await take(visit.code);
      fail('the login was cancelled in the browser');
      return pages.cancelled;
    },
  });
  const limit = login.isPlugin ? maxPluginWait : maxWait;
  const wait = Math.min(Math.max(attempt.expiresAt - Date.now(), 0), limit);
  const minutes = Math.ceil(wait / 60_000);
  const timer = setTimeout(fail, wait, `no one logged in with the browser within ${minutes}m`);
  const prompt = show(target, login, attempt, fail, over.signal).then(
    (question) => question && askForCode(question, take, over.signal),
  );
  prompt.catch(reject);
  try {
    return await promise;
  } catch (error) {
    over.abort();
    // The server may have a session for a code that it got before, and no one else could use or end it.
    const session = await firstSession(results.values());
    if (session === undefined) throw error;
    return session;
  } finally {
    clearTimeout(timer);
    over.abort();
    unneeded.abort();
    // The terminal is as before when the command goes on.
    await prompt.catch(() => {});
  }
}

async function firstSession(
  exchanges: Iterable<Promise<Exchange>>,
): Promise<SavedSession | undefined> {
  const ended = await Promise.all(exchanges);
  return ended.find(({ session }) => session !== undefined)?.session;
}

/** Opens the browser if it may, and shows the URL where someone reads it. @returns what to ask at a terminal */
async function show(
  { cluster, url: server }: Target,
  { source, isPlugin, mode }: Login,
  { url, listener, opens, windows }: BrowserLogin,
  fail: (reason: string) => void,
  over: AbortSignal,
): Promise<CodeQuestion | undefined> {
  // Programs such as k9s have the whole screen, and a line of the plugin would damage it.
  const isShown = source !== undefined || !isPlugin || mode === 'print-url';
  let isOpened = opens;
  let isAsking = false;
  const onFail = (reason: string) => {
    isOpened = false;
    if (!isShown) return fail(`can't open a browser: ${reason}`);
    if (isAsking) process.stderr.write('\n');
    warn(`can't open a browser: ${reason}`, `open this URL yourself: ${url}`);
  };
  if (opens) await openWindow(url, windows, onFail, over);
  if (!isShown) return;
  const where = listener === undefined ? 'in a browser on any machine' : 'in your browser';
  const introduction = [
    `Log in to cluster ${printable(cluster)} at ${server}`,
    ...(mode === 'browser' && listener === undefined
      ? ['There is no display here to open a browser']
      : []),
    isOpened ? 'Your browser opens this URL:' : `Open this URL ${where}:`,
    `  ${url}`,
    '',
  ].join('\n');
  if (source === undefined) {
    process.stderr.write(introduction);
    return;
  }
  isAsking = true;
  const ifShown =
    listener === undefined ? 'Code that the page shows: ' : 'Code, if the page shows one: ';
  return { introduction, question: ifShown };
}

/** Opens the browser. A window is counted before, because kubectl runs the plugin up to five times, and might end it. */
async function openWindow(
  url: string,
  windows: BrowserLogin['windows'],
  onFail: (reason: string) => void,
  over: AbortSignal,
): Promise<void> {
  // Two processes may have the lock, if one of them was stopped for a while.
  if (windows?.allows() === false) return onFail('another kubectl has opened one');
  if (windows?.begin() === false)
    return onFail('kubectl opens one only if the cache folder can be written');
  let isStarted = false;
  try {
    isStarted = await openBrowser(url, onFail, over);
  } finally {
    if (!isStarted) windows?.takeBack();
  }
}

/** Exchanges a code for a session. It never rejects. */
async function exchange(
  target: Target,
  code: string,
  { id, verifier, device, lastUser }: BrowserLogin,
  signal: AbortSignal,
): Promise<Exchange> {
  try {
    const login = await redeem(target, { id, code, verifier, device }, signal);
    if (login === undefined) return { page: pages.refused };
    const { url, cluster } = target;
    const { user, token, expiresAt } = login;
    const account = await checkUser(target, login, lastUser);
    if ('error' in account)
      return { page: pages.otherUser(user, account.expected), error: account.error };
    const session = { url, cluster, ...account, user, token, expiresAt };
    return { page: pages.loggedIn, session };
  } catch (error) {
    return { page: pages.failed, error };
  }
}
