/** Many people at their machines, in a process of its own: what they cost is not taken from who measures beside them. */
import { Agent, request } from 'node:https';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { answerMessages } from './worker.ts';

export interface CrowdLogin {
  readonly username: string;
  readonly password: string;
  /** Of the machine that it comes from: one of 127.0.0.0/8. */
  readonly address: string;
}

export interface CrowdMessage {
  readonly url: string;
  /** PEM. */
  readonly ca: string;
  /** That of `login.publicUrl`. */
  readonly host: string;
  readonly cluster: string;
  /** All of them begin at once. */
  readonly logins: readonly CrowdLogin[];
}

/** How one login went. */
export interface CrowdResult {
  /** The last answer. */
  readonly status: number;
  /** Of the new session. */
  readonly token?: string | undefined;
  /** How often it was told to come again, and did. */
  readonly repeats: number;
  /** Until the last answer, with the waits that it was told to make. */
  readonly milliseconds: number;
  /** What is wrong with an answer, or with a connection. */
  readonly problem?: string | undefined;
}

interface Answer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly token: string | undefined;
}

/**
 * Milliseconds, after which a person gives up. A try whose end Redis could not note in time holds its place in the lockout
 * guard for 60 s: docs/limits.md.
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

/** One request on a connection of its own, as that of another machine. */
function ask({ url, ca, host, cluster }: CrowdMessage, login: CrowdLogin): Promise<Answer> {
  const { username, password, address } = login;
  const body = JSON.stringify({ username, password, cluster, device: address });
  const agent = new Agent({ keepAlive: false, ca, servername: 'localhost', localAddress: address });
  const headers = { host, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  return new Promise((resolve, reject) => {
    const sent = request(new URL('/v1/sessions', url), { agent, method: 'POST', headers });
    sent.on('error', reject);
    sent.on('response', (response) => {
      text(response).then((answer) => {
        const { token } = JSON.parse(answer) as { token?: string };
        resolve({ status: response.statusCode ?? 0, retryAfter: response.headers['retry-after'], token });
      }, reject);
    });
    sent.end(body);
  });
}
