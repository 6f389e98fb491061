import { setTimeout as pause } from 'node:timers/promises';
import { exitCodes, Failure } from '../failure.ts';
import { isObject, parseObject } from '../text.ts';
import { readRefusal, type ServerRefusal } from './refusal.ts';
import { type LoginServerAnswer, type Request, type ServerAddress, send } from './request.ts';

/** A login takes long, since the server asks the directory. */
export const loginTimeout = 30_000;
/** A login waits this long for a server that is busy, in milliseconds. */
const waitLimit = 20_000;
export const askTimeout = 10_000;
/** A check is short: kubectl waits for it, and the cached token may be valid. */
export const checkTimeout = 3_000;

/**
 * Logs in.
 *
 * @param credentials have `device`, by which the user finds this session in a list, and maybe the code of a second factor
 * @returns a new session, with its end by the clock of this machine; or why the login was refused
 * @throws Failure for everything else
 */
export async function logIn(
  server: ServerAddress,
  credentials: Readonly<Record<'username' | 'password' | 'cluster' | 'device', string>> & {
    readonly code?: string | undefined;
  },
): Promise<NewSession | ServerRefusal> {
  const request: Request = {
    method: 'POST',
    path: '/v1/sessions',
    body: credentials,
    timeout: loginTimeout,
  };
  const answer = await sendWhenFree(server, request);
  return readNewSession(server, answer) ?? readRefusal(answer);
}

export type NewSession = NonNullable<ReturnType<typeof readNewSession>>;

/** Reads the answer to a login. @returns undefined when it is refused */
export function readNewSession(server: ServerAddress, answer: LoginServerAnswer) {
  if (answer.status === 401) return;
  const { token, expiresAt, user, login } = readBody(server, answer, 201);
  const end = localEnd(expiresAt, answer);
  // kubectl puts the token into a header.
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token) || Number.isNaN(end))
    throw unexpected(server);
  return {
    token,
    user: readUser(server, user).name,
    // Only the answer to a login in a browser has it.
    login: typeof login === 'string' ? login : undefined,
    expiresAt: end,
  };
}

/**
 * Sends a request again after the seconds of each `Retry-After`: when many people log in at the same time, the server takes some at a
 * time. A value that is not a whole number (RFC 9110, section 10.2.3) is ignored, and a server can't make it ask more than once a second.
 */
export async function sendWhenFree(
  server: ServerAddress,
  request: Request,
): Promise<LoginServerAnswer> {
  const end = performance.now() + waitLimit;
  for (;;) {
    const answer = await send(server, request);
    const { 'retry-after': seconds = '' } = answer.headers;
    const wait = 1000 * Math.max(1, Number(seconds));
    const isBusy = answer.status === 429 && /^\d+$/.test(seconds);
    if (!isBusy || performance.now() + wait > end) return answer;
    await pause(wait, undefined, { signal: request.signal });
  }
}

/**
 * Reads the user and the end of a session.
 *
 * @returns undefined when it has ended.
 * @throws Failure when that is not known
 */
export async function readState(
  server: ServerAddress,
  token: string,
  timeout: number = askTimeout,
) {
  const body = await ask(server, token, 'GET', '/v1/session', 200, timeout);
  if (body === undefined) return;
  const { name, groups } = readUser(server, body.user);
  if (typeof body.expiresAt !== 'string') throw unexpected(server);
  // A server of an earlier version does not say how long a session lasts without a use.
  const idleSeconds = typeof body.idleSeconds === 'number' ? body.idleSeconds : undefined;
  // `expiresAt` is by the clock of the server.
  return { user: name, groups, expiresAt: body.expiresAt, idleSeconds };
}

/** The result of a logout. A failure at the server can undo a logout that `isUnconfirmed`. */
interface Logout {
  readonly ended: number;
  readonly isUnconfirmed: boolean;
}

/** Ends this session. @returns undefined when it had ended already */
export async function logOut(server: ServerAddress, token: string): Promise<Logout | undefined> {
  const body = await ask(server, token, 'DELETE', '/v1/session', 204);
  return body && { ended: 1, isUnconfirmed: body.unconfirmed !== undefined };
}

/** Ends all sessions of the user of this session. @returns undefined when this session had ended already */
export async function logOutEverywhere(
  server: ServerAddress,
  token: string,
): Promise<Logout | undefined> {
  const body = await ask(server, token, 'DELETE', '/v1/sessions');
  if (body === undefined) return;
  if (typeof body.ended !== 'number') throw unexpected(server);
  return { ended: body.ended, isUnconfirmed: body.unconfirmed !== undefined };
}

/**
 * Lists the sessions of the user. An empty `lastUsedAt` means that it was not used yet.
 *
 * @returns undefined when this session has ended
 */
export async function listSessions(server: ServerAddress, token: string) {
  const body = await ask(server, token, 'GET', '/v1/sessions');
  if (body === undefined) return;
  if (!Array.isArray(body.sessions)) throw unexpected(server);
  const text = (value: unknown) => (typeof value === 'string' ? value : '');
  return body.sessions
    .filter(isObject)
    .map(({ id, device, cluster, since, lastUsedAt, expiresAt, current, state }) => ({
      id: text(id),
      device: text(device),
      cluster: text(cluster),
      since: text(since),
      lastUsedAt: text(lastUsedAt),
      expiresAt: text(expiresAt),
      current: current === true,
      // A server of an earlier version does not say it.
      state: text(state) || 'good',
    }));
}

/**
 * Lists the names of the clusters that the server logs in to, and the ways to log in: in a browser, with a password, with a second
 * factor. A server of an earlier version takes passwords alone.
 */
export async function listClusters(server: ServerAddress) {
  const request: Request = { method: 'GET', path: '/v1/clusters', timeout: askTimeout };
  const answer = readBody(server, await sendWhenFree(server, request), 200);
  const { clusters, browser, passwords, secondFactor } = answer;
  if (!Array.isArray(clusters)) throw unexpected(server);
  const names = clusters
    .map((cluster: unknown) => isObject(cluster) && cluster.name)
    .filter((name) => typeof name === 'string');
  return {
    names,
    browser: browser === true,
    passwords: passwords !== false,
    secondFactor: secondFactor === true,
  };
}

/** Reads the text of a kubeconfig, unchecked. */
export async function readKubeconfig(server: ServerAddress, cluster: string): Promise<string> {
  const path = `/v1/clusters/${encodeURIComponent(cluster)}/kubeconfig`;
  const answer = await send(server, { method: 'GET', path, timeout: askTimeout });
  if (answer.status !== 200) throw refused(server, answer);
  return answer.text;
}

/** Asks with the token of a session. @returns undefined when it has ended */
async function ask(
  server: ServerAddress,
  token: string,
  method: Request['method'],
  path: string,
  expected = 200,
  timeout = askTimeout,
) {
  const request = { method, path, token, timeout };
  const answer = await (method === 'DELETE' ? sendWhenFree : send)(server, request);
  return answer.status === 401 ? undefined : readBody(server, answer, expected);
}

/**
 * Returns when a session ends by the clock of this machine. A clock that is wrong is wrong by the same amount then, so the time that is
 * left, by the clock of the server, counts.
 */
export function localEnd(time: unknown, { headers }: LoginServerAnswer): number {
  const end = typeof time === 'string' ? Date.parse(time) : Number.NaN;
  const serverNow = Date.parse(headers.date ?? '');
  return Number.isNaN(serverNow) ? end : end - serverNow + Date.now();
}

function readUser(server: ServerAddress, user: unknown) {
  if (!isObject(user) || typeof user.username !== 'string' || user.username === '')
    throw unexpected(server);
  return { name: user.username, groups: Array.isArray(user.groups) ? user.groups.map(String) : [] };
}

export function readBody(
  server: ServerAddress,
  answer: LoginServerAnswer,
  expected: number,
): Readonly<Record<string, unknown>> {
  // A logout that can be undone has a body.
  if (answer.status !== expected && (expected !== 204 || answer.status !== 200))
    throw refused(server, answer);
  const body = answer.status === 204 ? {} : parseObject(answer.text);
  if (body === undefined) throw unexpected(server);
  return body;
}

export function unexpected({ url }: ServerAddress): Failure {
  const problem = `${url}: it does not answer as a login server`;
  const fix = 'check the URL, or ask your administrator';
  return new Failure(problem, fix, { exitCode: exitCodes.unavailable });
}

function refused({ url }: ServerAddress, { status, headers, text }: LoginServerAnswer): Failure {
  const { message } = parseObject(text) ?? {};
  const detail = typeof message === 'string' ? `: ${message}` : '';
  if (status === 429) {
    const seconds = headers['retry-after'] ?? '';
    const wait = /^\d+$/.test(seconds) ? `, and it asks to wait ${seconds}s` : '';
    return new Failure(`${url}: too many requests${detail}${wait}`, 'try again later', {
      exitCode: exitCodes.unavailable,
    });
  }
  const isAway = status >= 500;
  const hasPath = new URL(url).pathname !== '/';
  const checkUrl = hasPath ? 'write the URL without its path' : 'check the URL and the cluster';
  const fix = isAway ? 'try again' : checkUrl;
  return new Failure(
    `${url}: it answered ${status}${detail}`,
    `${fix}, or ask your administrator`,
    {
      exitCode: isAway ? exitCodes.unavailable : exitCodes.usage,
    },
  );
}
