import { createHash } from 'node:crypto';
import { randomToken, secret } from '@sallyport/test-servers/tokens';
import { type LoginAnswer, publicHost } from './ask-login.ts';
import type { LoginPlace } from './login-gateway.ts';

/** A login that a client has begun: what its person opens in a browser, and what the client keeps for itself. */
export interface BegunLogin {
  readonly id: string;
  /** `/login/ATTEMPT`. */
  readonly path: string;
  /** The secret of the client, without which a code is worth nothing. */
  readonly verifier: string;
}

/** What a browser does with one server: it keeps cookies, and sends forms as a page makes it do. */
export interface FormBrowser {
  /** The cookies, as in a request. A test may change them. */
  readonly cookies: Map<string, string>;
  /** Returns the path of an attempt to which the last proof has sent this browser. @param path as the client has begun it */
  at(path: string): string;
  /** Follows a link. */
  get(path: string, headers?: Headers): Promise<LoginAnswer>;
  /** Sends a form. @param headers replace headers that a browser sends; with undefined, one is left out */
  post(
    path: string,
    form: Readonly<Record<string, string>>,
    headers?: Headers,
  ): Promise<LoginAnswer>;
}

type Headers = Readonly<Record<string, string | undefined>>;

/** The way to a login server, and where it comes from. */
export interface BrowserPlace {
  readonly ask: LoginPlace['ask'];
  /** Which gateway is asked. Default: the first one. */
  readonly at?: number;
  /** Default: the origin of `publicHost`. */
  readonly origin?: string;
  readonly localAddress?: string;
}

/** The PKCE challenge of a verifier (RFC 7636, section 4.2). */
const challengeOf = (verifier: string): string =>
  createHash('sha256').update(verifier).digest('base64url');

/** The id of each login by its verifier: its client knows both. */
const loginIds = new Map<string, string>();

/** Begins a login, as `kubectl sallyport` does. @param more keys of the body @throws Error unless it is begun */
export async function beginLogin(
  { ask, at, localAddress }: BrowserPlace,
  more: object = {},
): Promise<BegunLogin> {
  const verifier = randomToken(32);
  const answer = await ask(
    {
      path: '/v1/logins',
      body: { challenge: challengeOf(verifier), cluster: 'prod', ...more },
      ...(localAddress && { localAddress }),
    },
    at,
  );
  if (answer.status !== 201)
    throw new Error(`the begin of a login was answered ${answer.status}: ${answer.text}`);
  const path = new URL(String(answer.json?.url)).pathname;
  secret(path.slice('/login/'.length));
  const id = String(answer.json?.id);
  loginIds.set(verifier, id);
  return { id, path, verifier };
}

/** Opens a browser without cookies. */
export function createFormBrowser({ ask, at, origin, localAddress }: BrowserPlace): FormBrowser {
  const cookies = new Map<string, string>();
  const [moved, flows] = [new Map<string, string>(), new Map<string, string>()];
  /** Notes where an answer sends this browser, and which attempt a provider's answer is for. */
  const follow = (path: string, { headers: { location = '' } }: LoginAnswer) => {
    const [from, to] = [new URL(path, 'https://x'), URL.parse(location, 'https://x')];
    const state = (url: URL | null) => url?.searchParams.get('state') ?? '';
    const begun = flows.get(state(from)) ?? attemptOf(from.pathname);
    if (state(to) !== '') flows.set(state(to), begun);
    if (stepOf({ headers: { location } }) === undefined || attemptOf(location) === begun) return;
    moved.set(begun, `/login/${secret(attemptOf(location).slice('/login/'.length))}`);
  };
  const send = async (method: string, path: string, body: string | undefined, more: Headers) => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const headers = { ...(cookie !== '' && { cookie }), ...more };
    const request = { method, path, headers, ...(body !== undefined && { body }) };
    const answer = await ask({ ...request, ...(localAddress && { localAddress }) }, at);
    for (const one of answer.headers['set-cookie'] ?? []) {
      const [, name = '', value = '', age = ''] = /^([^=]+)=([^;]*).*Max-Age=(\d+)/.exec(one) ?? [];
      if (age === '0') cookies.delete(name);
      else cookies.set(name, secret(value));
    }
    follow(path, answer);
    return answer;
  };
  return {
    cookies,
    at(path) {
      const next = moved.get(path);
      return next === undefined ? path : this.at(next);
    },
    get: (path, headers = {}) =>
      send('GET', path, undefined, { 'sec-fetch-site': 'none', ...headers }),
    post: (path, form, headers = {}) =>
      send('POST', path, new URLSearchParams(form).toString(), {
        origin: origin ?? `https://${publicHost}`,
        'sec-fetch-site': 'same-origin',
        'content-type': 'application/x-www-form-urlencoded',
        ...headers,
      }),
  };
}

const attemptOf = (path: string) => /^\/login\/[\w.-]+/.exec(path)?.[0] ?? '';

/** The step to which an answer sends the browser, such as `confirm`. It is undefined if it sends it elsewhere. */
export function stepOf({ headers }: Pick<LoginAnswer, 'headers'>): string | undefined {
  return /^\/login\/[\w.-]{60,}\/(confirm|factors?\b.*)$/.exec(headers.location ?? '')?.[1];
}

/** The token of the forms of a page. @throws Error if the page has no form */
export function formTokenOf({ text, status }: LoginAnswer): string {
  const [, token] = /name="form" value="([\w-]+)"/.exec(text) ?? [];
  if (token === undefined) throw new Error(`the page has no form, but ${status}: ${text}`);
  return secret(token);
}

/** The title of a page, without what it says of the login: a problem, if there is one. */
export function titleOf({ text }: LoginAnswer): string {
  return /<title>(.*?)(?: - .*)?<\/title>/s.exec(text)?.[1] ?? '';
}

/** The code of a page to copy it from, or of a redirect to the client. @throws Error if there is none */
export function codeOf({ text, headers, status }: LoginAnswer): string {
  const [, code] =
    /^http:\/\/127\.0\.0\.1:\d+\/\?id=[a-z2-7]{16}&code=([\dA-Z-]{19})$/.exec(
      headers.location ?? '',
    ) ??
    /<input id="code" value="([\dA-Z-]{19})"/.exec(text) ??
    [];
  if (code === undefined)
    throw new Error(`there is no code in the answer ${status}, Location ${headers.location}`);
  secret(code.replaceAll('-', ''));
  return secret(code);
}

/** Opens the page of a login, and sends a password. @returns the answer to the password */
export async function sendPassword(
  browser: FormBrowser,
  { path }: Pick<BegunLogin, 'path'>,
  { name, password }: { readonly name: string; readonly password: string },
): Promise<LoginAnswer> {
  const form = formTokenOf(await browser.get(path));
  return browser.post(`${path}/password`, { form, username: name, password });
}

/** Opens the page that asks for a confirmation, and answers it. */
export async function confirmLogin(
  browser: FormBrowser,
  { path }: Pick<BegunLogin, 'path'>,
  answer: 'redirect' | 'code' | 'cancel' = 'code',
): Promise<LoginAnswer> {
  const confirm = `${browser.at(path)}/confirm`;
  return browser.post(confirm, { form: formTokenOf(await browser.get(confirm)), answer });
}

/** Redeems a code, as the client does. @param id Default: of the login with this verifier, or of none */
export function redeemCode(
  { ask, at, localAddress }: BrowserPlace,
  code: string,
  verifier: string,
  id: string = loginIds.get(verifier) ?? 'a'.repeat(16),
): Promise<LoginAnswer> {
  return ask({ body: { id, code, verifier }, ...(localAddress && { localAddress }) }, at);
}

/** The token of an answer that has a session. @throws Error for any other answer */
export function tokenOf({ status, text, json }: LoginAnswer): string {
  if (status !== 201) throw new Error(`there is no session in the answer ${status}: ${text}`);
  return secret(String(json?.token));
}

/** Logs a person in with their password until the code, which is left to redeem. */
export async function codeWithPassword(
  place: BrowserPlace,
  person: { readonly name: string; readonly password: string },
  more: object = {},
): Promise<BegunLogin & { readonly code: string; readonly browser: FormBrowser }> {
  const [login, browser] = [await beginLogin(place, more), createFormBrowser(place)];
  const sent = await sendPassword(browser, login, person);
  if (sent.status !== 303) throw new Error(`the password was answered ${sent.status}`);
  return { ...login, browser, code: codeOf(await confirmLogin(browser, login)) };
}
