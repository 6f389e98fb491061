/** Many people who log in on the page, in a process of its own, so that their cost does not count in the process that measures. */
import { createHash, randomBytes } from 'node:crypto';
import { Agent, request } from 'node:https';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { answerMessages } from './worker.ts';

export interface BrowserCrowdLogin {
  readonly username: string;
  readonly password: string;
  /** The address of the person's machine, in 127.0.0.0/8. */
  readonly address: string;
}

export interface BrowserCrowdMessage {
  readonly url: string;
  /** The CA of the login server in PEM. */
  readonly ca: string;
  /** The host of `login.publicUrl`. */
  readonly host: string;
  readonly cluster: string;
  readonly logins: readonly BrowserCrowdLogin[];
  /** The milliseconds in which the logins begin, one after the other. */
  readonly duration: number;
}

/** The result of one login. */
export interface BrowserCrowdResult {
  /** The token of the new session. */
  readonly token?: string;
  /** What went wrong. */
  readonly problem?: string;
  /** How often a request was repeated, because the server was busy. */
  readonly repeats: number;
  /** From the begin to the token. */
  readonly milliseconds: number;
}

/** How often a person repeats a request before they give up. */
const maxRepeats = 20;

interface Counter {
  repeats: number;
}

interface Answer {
  readonly status: number;
  readonly location: string;
  readonly retryAfter: string | undefined;
  readonly cookies: readonly string[];
  readonly body: string;
}

answerMessages<BrowserCrowdMessage, readonly BrowserCrowdResult[]>((message) =>
  Promise.all(
    message.logins.map(async (login, index) => {
      await pause((index / message.logins.length) * message.duration);
      const begun = performance.now();
      const counter = { repeats: 0 };
      const more = await logIn(message, login, counter).catch((error) => ({
        problem: String(error),
      }));
      return { ...more, ...counter, milliseconds: performance.now() - begun };
    }),
  ),
);

/** Logs in as kubectl-sallyport and a browser of the same machine do, each on connections of its own. */
async function logIn(
  message: BrowserCrowdMessage,
  { username, password, address }: BrowserCrowdLogin,
  counter: Counter,
): Promise<{ readonly token: string }> {
  using client = createAsker(message, address, counter);
  using browser = createAsker(message, address, counter);
  const verifier = randomBytes(32).toString('base64url');
  const challenge = createHash('sha256').update(verifier).digest('base64url');
  const { cluster } = message;
  const asked = { challenge, port: 4_711, cluster, device: address };
  const began = await client.ask('/v1/logins', 201, JSON.stringify(asked));
  const { id, url } = JSON.parse(began.body);
  const path = new URL(url).pathname;
  const page = await browser.ask(path, 200);
  const form = formOf(page);
  const credentials = new URLSearchParams({ form, username, password });
  const proved = await browser.ask(`${path}/password`, 303, credentials);
  const question = formOf(await browser.ask(proved.location, 200));
  const answer = new URLSearchParams({ form: question, answer: 'redirect' });
  const { location } = await browser.ask(proved.location, 303, answer);
  const code = new URL(location).searchParams.get('code');
  const ended = await client.ask('/v1/sessions', 201, JSON.stringify({ id, code, verifier }));
  return { token: JSON.parse(ended.body).token };
}

function formOf({ body }: Answer): string {
  return /name="form" value="([\w-]+)"/.exec(body)?.[1] ?? '';
}

/** Sends requests from one address, on one connection, with the cookies of the answers before. */
function createAsker(
  { url, ca, host }: BrowserCrowdMessage,
  localAddress: string,
  counter: Counter,
) {
  const agent = new Agent({
    keepAlive: true,
    maxSockets: 1,
    ca,
    servername: 'localhost',
    localAddress,
  });
  const origin = `https://${host}`;
  let cookie = '';
  const askOnce = (path: string, body: string | URLSearchParams | undefined) => {
    const isForm = body instanceof URLSearchParams;
    const headers = {
      host,
      ...(cookie !== '' && { cookie }),
      ...(body !== undefined && {
        'content-type': isForm ? 'application/x-www-form-urlencoded' : 'application/json',
      }),
      ...(isForm && { origin, 'sec-fetch-site': 'same-origin' }),
    };
    const method = body === undefined ? 'GET' : 'POST';
    return new Promise<Answer>((resolve, reject) => {
      const sent = request(new URL(path, url), { agent, method, headers });
      sent.on('error', reject).on('response', (response) => {
        const { location = '', 'set-cookie': cookies = [] } = response.headers;
        const {
          statusCode: status = 0,
          headers: { 'retry-after': retryAfter },
        } = response;
        text(response).then(
          (read) => resolve({ status, location, retryAfter, cookies, body: read }),
          reject,
        );
      });
      sent.end(body?.toString());
    });
  };
  return {
    /** Sends a request until the server is not busy. @throws Error if the status is another one */
    async ask(path: string, status: number, body?: string | URLSearchParams): Promise<Answer> {
      for (;;) {
        const answer = await askOnce(path, body);
        cookie = answer.cookies.map((one) => one.split(';')[0]).join('; ') || cookie;
        if (answer.status === status) return answer;
        const step = path.replace(/^\/login\/[^/]+/, 'page');
        // A page says to wait in words alone.
        const isBusy = answer.status === 429 && counter.repeats < maxRepeats;
        if (!isBusy) throw new Error(`${step}: ${answer.status}`);
        counter.repeats += 1;
        await pause(Number(answer.retryAfter ?? 1) * 1_000);
      }
    },
    [Symbol.dispose]: () => agent.destroy(),
  };
}
