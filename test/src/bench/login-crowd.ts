/** Many people at their machines, in a process of its own, so that their cost does not count in the process that measures. */
import { Agent, request } from 'node:https';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { answerMessages } from './worker.ts';

export interface CrowdLogin {
  readonly username: string;
  readonly password: string;
  /** The address of the person's machine, in 127.0.0.0/8. */
  readonly address: string;
}

export interface CrowdMessage {
  readonly url: string;
  /** The CA of the login server in PEM. */
  readonly ca: string;
  /** The host of `login.publicUrl`. */
  readonly host: string;
  readonly cluster: string;
  /** The logins, which all begin at the same time. */
  readonly logins: readonly CrowdLogin[];
}

/** The result of one login. */
export interface CrowdResult {
  /** The status of the last answer. */
  readonly status: number;
  /** The token of the new session. */
  readonly token?: string | undefined;
  /** How often it was repeated, as Retry-After said. */
  readonly repeats: number;
  /** The time until the last answer, including the waits of Retry-After. */
  readonly milliseconds: number;
  /** The problem of an answer or of a connection. */
  readonly problem?: string | undefined;
}

interface CrowdAnswer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly token: string | undefined;
}

/**
 * Milliseconds after which a person gives up. An attempt whose end Redis could not note in time holds its slot in the lockout
 * guard for 60 s: docs/limits.md, "Lockout guard".
 */
const patience = 90_000;

answerMessages<CrowdMessage, readonly CrowdResult[]>((message) =>
  Promise.all(message.logins.map((login) => logIn(message, login))),
);

async function logIn(message: CrowdMessage, login: CrowdLogin): Promise<CrowdResult> {
  const begun = performance.now();
  let repeats = 0;
  const result = (status: number, more: Partial<CrowdResult> = {}): CrowdResult => {
    return { status, repeats, milliseconds: performance.now() - begun, ...more };
  };
  try {
    for (;;) {
      const { status, retryAfter, token } = await ask(message, login);
      // A machine that is too busy for the deadlines of Redis or the directory answers 503.
      if (status !== 429 && status !== 503) return result(status, { token });
      if (!/^[1-9]\d*$/.test(retryAfter ?? ''))
        return result(status, { problem: `a ${status} with Retry-After ${retryAfter}` });
      const wait = Number(retryAfter) * 1000;
      if (performance.now() - begun + wait > patience)
        return result(status, { problem: 'was told to wait for too long' });
      repeats += 1;
      await pause(wait);
    }
  } catch (error) {
    return result(0, { problem: String(error) });
  }
}

/** Sends one request on a connection of its own, like another machine. */
function ask({ url, ca, host, cluster }: CrowdMessage, login: CrowdLogin): Promise<CrowdAnswer> {
  const { username, password, address } = login;
  const body = JSON.stringify({ username, password, cluster, device: address });
  const agent = new Agent({ keepAlive: false, ca, servername: 'localhost', localAddress: address });
  const headers = {
    host,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  };
  return new Promise((resolve, reject) => {
    const sent = request(new URL('/v1/sessions', url), { agent, method: 'POST', headers });
    sent.on('error', reject);
    sent.on('response', (response) => {
      text(response).then((answer) => {
        const { token } = JSON.parse(answer) as { token?: string };
        resolve({
          status: response.statusCode ?? 0,
          retryAfter: response.headers['retry-after'],
          token,
        });
      }, reject);
    });
    sent.end(body);
  });
}
