import { setTimeout as pause } from 'node:timers/promises';
import { exitCodes, Failure } from '../failure.ts';
import { isObject } from '../json.ts';
import { printable } from '../text.ts';
import { type Answer, type Request, type ServerAddress, send } from './request.ts';

/** The directory is asked behind it. */
const loginTimeout = 30_000;
/** How long a login waits for a server that is busy, in milliseconds. */
const patience = 20_000;
const askTimeout = 10_000;
/** kubectl waits for it, and the cached token may be good. */
export const checkTimeout = 3_000;

export interface Credentials {
  readonly username: string;
  readonly password: string;
  readonly cluster: string;
  /** How the user finds this session in a list. */
  readonly device: string;
}

/** A new session. */
export interface Login {
  readonly token: string;
  readonly user: string;
  /** By the clock of this machine, in milliseconds since 1970. */
  readonly expiresAt: number;
}

/** What the server says of a session. */
export interface SessionState {
  readonly user: string;
  readonly groups: readonly string[];
  readonly cluster: string | undefined;
  /** By the clock of the server. */
  readonly expiresAt: string;
}

export interface ListedSession {
  readonly id: string;
  readonly device: string;
  readonly cluster: string;
  readonly since: string;
  /** Empty: it was not used yet. */
  readonly lastUsedAt: string;
  readonly expiresAt: string;
  /** True: it is the one that asks. */
  readonly current: boolean;
}

/** @returns undefined when the user or the password is wrong. @throws Failure for everything else */
export async function logIn(server: ServerAddress, credentials: Credentials): Promise<Login | undefined> {
  const request: Request = { method: 'POST', path: '/v1/sessions', body: credentials, timeout: loginTimeout };
  const answer = await sendWhenFree(server, request);
  if (answer.status === 401) return;
  const { token, expiresAt, user } = body(server, answer, 201);
  const name = nameOf(user);
  const end = localTime(expiresAt, answer);
  // kubectl puts it into a header.
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token) || name === undefined || end === undefined) {
    throw strange(server);
  }
  return { token, user: name, expiresAt: end };
}

/** Sends it again after the seconds of each `Retry-After`: when many people log in at once, the server takes some at a time. */
async function sendWhenFree(server: ServerAddress, request: Request): Promise<Answer> {
  const end = performance.now() + patience;
  for (;;) {
    const answer = await send(server, request);
    const wait = 1000 * Number(answer.headers['retry-after']);
    if (answer.status !== 429 || !(wait > 0) || performance.now() + wait > end) return answer;
    await pause(wait);
  }
}

/** @returns undefined when the session has ended. @throws Failure when that is not known */
export async function readState(
  server: ServerAddress,
  token: string,
  timeout: number = askTimeout,
): Promise<SessionState | undefined> {
  const answer = await send(server, { method: 'GET', path: '/v1/session', token, timeout });
  if (answer.status === 401) return;
  const { user, cluster, expiresAt } = body(server, answer, 200);
  const name = nameOf(user);
  if (name === undefined || typeof expiresAt !== 'string') throw strange(server);
  const groups = isObject(user) && Array.isArray(user.groups) ? user.groups.map(String) : [];
  return { user: name, groups, cluster: typeof cluster === 'string' ? cluster : undefined, expiresAt };
}

/** Ends this session. @returns false when it had ended already */
export async function logOut(server: ServerAddress, token: string): Promise<boolean> {
  const answer = await send(server, { method: 'DELETE', path: '/v1/session', token, timeout: askTimeout });
  if (answer.status === 401) return false;
  if (answer.status !== 204) throw refused(server, answer);
  return true;
}

/** Ends all sessions of the user of this one. @returns how many there were; undefined when this one had ended already */
export async function logOutEverywhere(server: ServerAddress, token: string): Promise<number | undefined> {
  const answer = await send(server, { method: 'DELETE', path: '/v1/sessions', token, timeout: askTimeout });
  if (answer.status === 401) return;
  const { ended } = body(server, answer, 200);
  if (typeof ended !== 'number') throw strange(server);
  return ended;
}

/** @returns undefined when this session has ended */
export async function listSessions(
  server: ServerAddress,
  token: string,
): Promise<readonly ListedSession[] | undefined> {
  const answer = await send(server, { method: 'GET', path: '/v1/sessions', token, timeout: askTimeout });
  if (answer.status === 401) return;
  const { sessions } = body(server, answer, 200);
  if (!Array.isArray(sessions)) throw strange(server);
  return sessions.filter(isObject).map((one) => {
    const text = (value: unknown) => (typeof value === 'string' ? value : '');
    const { id, device, cluster, since, lastUsedAt, expiresAt } = one;
    return {
      ...{ id: text(id), device: text(device), cluster: text(cluster), since: text(since) },
      ...{ lastUsedAt: text(lastUsedAt), expiresAt: text(expiresAt), current: one.current === true },
    };
  });
}

/** The names of the clusters that the server logs in to. */
export async function listClusters(server: ServerAddress): Promise<readonly string[]> {
  const { clusters } = body(
    server,
    await send(server, { method: 'GET', path: '/v1/clusters', timeout: askTimeout }),
    200,
  );
  if (!Array.isArray(clusters)) throw strange(server);
  const names = clusters.map((one: unknown) => (isObject(one) ? one.name : one));
  return names.filter((name) => typeof name === 'string');
}

/** @returns the text of a kubeconfig, which nothing was checked of */
export async function readKubeconfig(server: ServerAddress, cluster: string): Promise<string> {
  const path = `/v1/clusters/${encodeURIComponent(cluster)}/kubeconfig`;
  const answer = await send(server, { method: 'GET', path, timeout: askTimeout });
  if (answer.status !== 200) throw refused(server, answer);
  return answer.text;
}

function nameOf(user: unknown): string | undefined {
  const name = isObject(user) ? user.username : user;
  return typeof name === 'string' && name !== '' ? name : undefined;
}

/**
 * When it is by the clock of this machine. A clock that is wrong is wrong by the same amount at the end of the session, so
 * the time that is left, by the clock of the server, counts.
 */
function localTime(time: unknown, { headers }: Answer): number | undefined {
  const end = typeof time === 'string' ? Date.parse(time) : Number.NaN;
  const serverNow = Date.parse(headers.date ?? '');
  const local = Number.isNaN(serverNow) ? end : end - serverNow + Date.now();
  return Number.isNaN(local) ? undefined : local;
}

function body(server: ServerAddress, answer: Answer, expected: number): Readonly<Record<string, unknown>> {
  if (answer.status !== expected) throw refused(server, answer);
  const found = parse(answer.text);
  if (!isObject(found)) throw strange(server);
  return found;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return;
  }
}

function strange({ url }: ServerAddress): Failure {
  return new Failure(
    `${url}: its answer is not that of a login server. Check the URL, or ask your administrator`,
    exitCodes.unavailable,
  );
}

function refused({ url }: ServerAddress, { status, headers, text }: Answer): Failure {
  const found = parse(text);
  const said = isObject(found) && typeof found.message === 'string' ? `: ${printable(found.message)}` : '';
  if (status === 429) {
    const wait = /^\d+$/.test(headers['retry-after'] ?? '') ? `in ${headers['retry-after']} s` : 'later';
    return new Failure(`${url}: too many logins${said}. Try again ${wait}`, exitCodes.unavailable);
  }
  const isAway = status >= 500;
  const fix = isAway
    ? 'Try again, or ask your administrator'
    : 'Check the URL and the cluster, or ask your administrator';
  return new Failure(`${url}: it answered ${status}${said}. ${fix}`, isAway ? exitCodes.unavailable : exitCodes.failed);
}
