import { randomBytes } from 'node:crypto';
import { nameNetwork } from '../../http/socket-limit.ts';
import {
  type BrowserState,
  findLoginSecret,
  formToken,
  isFormToken,
  type LoginAttempt,
  writePath,
} from '../attempts/attempt.ts';
import { maxCookies } from '../limits.ts';
import { LoginError, tooMany } from '../login-error.ts';
import { addFacts } from '../login-facts.ts';
import type { LoginRequest } from '../login-request.ts';
import type { BrowserLogins, LoginService } from '../login-service.ts';
import { type Page, writePage } from '../pages/document.ts';
import { PageError } from './page-error.ts';

/** A request of a browser for a page of an attempt. */
export interface PageRequest extends LoginRequest {
  readonly browser: BrowserLogins;
  readonly attempt: LoginAttempt;
  /** The path of the attempt, which has everything that is known of it. */
  readonly path: string;
}

/** @throws LoginError if people log in at a terminal alone */
export function requireBrowserLogins({ browser }: LoginService): BrowserLogins {
  if (browser !== undefined) return browser;
  throw new LoginError(
    404,
    'no-browser-login',
    'this server has no login in a browser (login.browser): log in at a terminal',
  );
}

/**
 * Finds the attempt in the path.
 *
 * @throws PageError if no gateway wrote it, it has expired, or its cluster is gone
 * @throws LoginError if the address asks for too many pages
 */
export function pageRequest(request: LoginRequest): PageRequest {
  const { attempt: text = '' } = request.context.params as Readonly<Record<string, string>>;
  return makePageRequest(request, text);
}

/** @param text the attempt as it is in a URL @throws PageError or LoginError as {@link pageRequest} */
export function makePageRequest(request: LoginRequest, text: string): PageRequest {
  const browser = requireBrowserLogins(request.service);
  const attempt = browser.attempts.read(text);
  if (typeof attempt === 'string') throw new PageError(attempt, 404);
  const { device, cluster } = attempt;
  addFacts(request.facts, { device, cluster });
  countPage(request);
  return { ...request, browser, attempt, path: writePath(attempt) };
}

/** @throws LoginError if the address asks for too many pages */
export function countPage({ limits, address }: LoginRequest): void {
  const giveBack = limits.pages.take(address);
  if (typeof giveBack === 'number') throw tooMany('too many pages for this address', giveBack);
}

/**
 * Names the cookie of an attempt: browsers accept the prefix `__Host-` from this host alone, and only for https (RFC 6265bis,
 * section 4.1.3.2). Without TLS the login server is on this machine.
 */
function cookieName(id: string, publicUrl: string): string {
  return `${publicUrl.startsWith('https:') ? '__Host-' : ''}sallyport-${id}`;
}

/** Reads the cookies of a request, the oldest first (RFC 6265bis, section 5.8.3). */
const readCookies = ({ context }: LoginRequest) => (context.req.headers.cookie ?? '').split('; ');

/** Reads what this browser knows of an attempt. @returns undefined if it has not opened its page */
export function readState(request: LoginRequest, id: string): BrowserState | undefined {
  const { service } = request;
  const name = cookieName(id, service.config.publicUrl);
  const sealedState = readCookies(request)
    .find((cookie) => cookie.startsWith(`${name}=`))
    ?.slice(name.length + 1);
  return sealedState === undefined
    ? undefined
    : requireBrowserLogins(service).attempts.readBrowser(id, sealedState);
}

/** Sets the cookie of the attempt, until the attempt ends. Of too many attempts, the browser forgets the oldest. */
export function setState(request: PageRequest, state: BrowserState): void {
  const { context, service, browser, attempt } = request;
  const { publicUrl } = service.config;
  const seconds = Math.ceil((attempt.until - Date.now()) / 1_000);
  // The provider's answer is a request from another site, which `SameSite=Strict` would leave without the cookie.
  const attributes = `HttpOnly; SameSite=Lax${publicUrl.startsWith('https:') ? '; Secure' : ''}`;
  const write = (name: string, value: string, maxAge: number) =>
    `${name}=${value}; Path=/; Max-Age=${maxAge}; ${attributes}`;
  const name = cookieName(attempt.id, publicUrl);
  const otherNames = readCookies(request)
    .map((cookie) => cookie.slice(0, cookie.indexOf('=')))
    .filter((otherName) => otherName.startsWith(cookieName('', publicUrl)) && otherName !== name);
  const forgotten = otherNames.slice(0, Math.max(0, otherNames.length + 1 - maxCookies));
  context.set('Set-Cookie', [
    write(name, browser.attempts.writeBrowser(attempt.id, state), seconds),
    ...forgotten.map((otherName) => write(otherName, '', 0)),
  ]);
}

/** Returns what this browser knows of an attempt, which is a new secret at its first page. */
export function beginState(request: PageRequest): BrowserState {
  const state = readState(request, request.attempt.id) ?? {
    secret: randomBytes(32).toString('base64url'),
  };
  setState(request, state);
  return state;
}

/** @throws PageError if this browser has not opened the page of the attempt, or does not keep cookies */
export function requireState(request: PageRequest): BrowserState {
  const state = readState(request, request.attempt.id);
  if (state === undefined) throw new PageError('other-browser', 403, request.path);
  return state;
}

/** The forms that follow a proof have a secret of their own. Those before it stay valid: people click twice, and have two tabs. */
const findFormSecret = ({ attempt }: PageRequest, state: BrowserState) => ({
  secret: findLoginSecret(attempt, state) ?? state.secret,
});

/** @throws PageError if a form is not from a page that this browser got from us, or is from before another proof */
export function requireForm(page: PageRequest, state: BrowserState, form: URLSearchParams): void {
  const { attempt, path } = page;
  const isOurs = isFormToken(form.get('form') ?? '', attempt.id, findFormSecret(page, state));
  if (!isOurs) throw new PageError('outdated', 403, path);
}

/** Reads a form of a page. @throws PageError as {@link requireState} and {@link requireForm} */
export async function readPageForm(page: PageRequest) {
  const state = requireState(page);
  const form = await page.readForm(page.context);
  requireForm(page, state, form);
  return { state, form };
}

/** What a page says about the attempt. */
export function describeAttempt({ attempt, address }: PageRequest) {
  return {
    cluster: attempt.cluster,
    device: attempt.device,
    address: attempt.address,
    isOtherAddress: nameNetwork(attempt.address) !== nameNetwork(address),
  };
}

/** What the forms of a page need. */
export function describeForm(page: PageRequest, state: BrowserState) {
  const { attempt, path } = page;
  return { path, form: formToken(attempt.id, findFormSecret(page, state)) };
}

/** Answers with a page. @param attempt the attempt that the page is about, if there is one */
export function showPage(
  { context, service, attempt }: LoginRequest & Partial<Pick<PageRequest, 'attempt'>>,
  page: Page,
  status = 200,
): void {
  const { publicUrl } = service.config;
  const { body, headers } = writePage(page, {
    publicUrl,
    brand: service.brand(),
    listener: attempt?.port,
  });
  context.status = status;
  context.set(headers);
  context.type = 'html';
  context.body = body;
}

/** Sends the browser on, with a GET. */
export function sendTo({ context }: LoginRequest, url: string): void {
  context.status = 303;
  context.set('Location', url);
  context.body = '';
}
