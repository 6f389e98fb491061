import {
  attemptLifetime,
  type BrowserState,
  findLoginSecret,
  writePath,
} from '../attempts/attempt.ts';
import { LoginError, wrongCredentials } from '../login-error.ts';
import { addFacts } from '../login-facts.ts';
import {
  type AddRoute,
  countIncomplete,
  countLogin,
  inSteps,
  type LoginRequest,
  withinLimits,
} from '../login-request.ts';
import { codePage, confirmPage } from '../pages/confirm-page.ts';
import { loginPage } from '../pages/login-page.ts';
import { messagePage } from '../pages/message-page.ts';
import type { LoginProblem } from '../pages/texts.ts';
import type { Proof } from '../proof.ts';
import { requireFactors } from '../prove-factor.ts';
import { provePassword } from '../prove-password.ts';
import { createAddressShares } from '../rate-limit.ts';
import { parseCredentials } from '../request-bodies.ts';
import { maxTyped } from '../secret-text.ts';
import { changeFactors } from './change-factors.ts';
import { showFactors } from './factors-visit.ts';
import {
  findLogin,
  findNext,
  fromPending,
  type NextStep,
  renewLogin,
  sendToNext,
} from './next-page.ts';
import { findProblem, PageError } from './page-error.ts';
import {
  beginState,
  countPage,
  describeAttempt,
  describeForm,
  type PageRequest,
  pageRequest,
  readPageForm,
  readState,
  requireBrowserLogins,
  sendTo,
  setState,
  showPage,
} from './page-request.ts';
import { proveOnPage, showFactor } from './prove-on-page.ts';
import { beginAtProvider, finishAtProvider } from './provider-login.ts';

/** Adds the pages of logins in a browser. */
export function addPages(route: AddRoute): void {
  const addPage: AddRoute<PageRequest> = (method, path, action, handle) =>
    route(method, path, action, async (request) => handle(pageRequest(request)));
  const answersInProgress = createAddressShares();
  route('get', '/', 'page', async (request) => {
    const { browser, factors } = request.service;
    if (browser === undefined) throw new LoginError(404, 'not-found', 'there is no such request');
    countPage(request);
    showPage(request, messagePage({ kind: 'home', factors: factors && '/login/factors' }));
  });
  addFactorPages(route, addPage);
  // Its client sends the browser there.
  for (const kind of ['logged-in', 'code-refused', 'cancelled'] as const) {
    route('get', `/login/done/${kind}`, 'page', async (request) => {
      requireBrowserLogins(request.service);
      countPage(request);
      showPage(request, messagePage({ kind }));
    });
  }
  // Before the paths of attempts, one of which would fit it.
  route('get', '/login/callback/:provider', 'provider-login', async (request) => {
    const { page, state, problem, proof } = await finishAtProvider(request, answersInProgress);
    setState(page, state);
    if (proof === undefined) return showLogin(page, state, problem);
    await keepLogin(page, state, proof);
  });
  addPage('get', '/login/:attempt', 'page', async (page) => {
    const { pending } = page.browser;
    if (await fromPending(page.service, () => pending.hasEnded(page.attempt.id)))
      throw new PageError('used', 409);
    // A path with a key is for what follows a proof. It leads here if that step is over.
    showLogin(page, beginState(page), page.attempt.key === undefined ? undefined : 'outdated');
  });
  addPage('post', '/login/:attempt/password', 'page-login', logInOnPage);
  addPage('get', '/login/:attempt/provider/:provider', 'provider', async (page) => {
    const { state, url, problem } = await beginAtProvider(page);
    if (url === undefined) return showLogin(page, state, problem);
    setState(page, state);
    sendTo(page, url);
  });
  addPage('get', '/login/:attempt/confirm', 'page', async (page) => {
    const state = readState(page, page.attempt.id);
    const login = await findLogin(page, state);
    if (state === undefined || login === undefined) return sendTo(page, page.path);
    if (login.next !== undefined) return sendToNext(page, login.next);
    showPage(
      page,
      confirmPage({
        ...describeForm(page, state),
        attempt: describeAttempt(page),
        username: login.proof.user.username,
        provider: page.browser.providers.get(login.proof.provider?.name ?? '')?.title,
        hasListener: page.attempt.port !== undefined,
      }),
    );
  });
  addPage('post', '/login/:attempt/confirm', 'confirm', confirm);
}

const statusOf = {
  outdated: 200,
  'wrong-credentials': 401,
  'too-many': 429,
  unavailable: 503,
  'provider-denied': 401,
  'provider-refused': 401,
  'provider-failed': 400,
  'provider-unavailable': 503,
} as const satisfies Readonly<Record<LoginProblem, number>>;

function showLogin(
  page: PageRequest,
  state: BrowserState,
  problem?: LoginProblem,
  username = page.attempt.username,
): void {
  const { service, browser } = page;
  const login = loginPage({
    ...describeForm(page, state),
    attempt: describeAttempt(page),
    passwords: service.passwordLinks.length > 0,
    providers: [...browser.providers.values()].map(({ name, title }) => ({ name, title })),
    username,
    isVisit: page.attempt.manages !== undefined,
    isInvited: page.attempt.manages?.invitation !== undefined,
    problem,
  });
  showPage(page, login, problem && statusOf[problem]);
}

/** Who has logged in, and what they may do next. */
interface BrowserLogin {
  readonly proof: Proof;
  readonly revision: number;
  readonly next?: NextStep;
}

/** Keeps who has logged in, and sends them to what they may do next. */
async function keepLogin(
  page: PageRequest,
  state: BrowserState,
  { proof, revision, next }: BrowserLogin,
): Promise<void> {
  const { service, browser, attempt, facts } = page;
  if (next?.kind === 'factor') countIncomplete(page, proof);
  else countLogin(page, proof);
  const { challenge, cluster, device } = attempt;
  const { username, uid } = proof.backendUser;
  addFacts(facts, { authenticator: proof.authenticator, username: proof.user.username });
  const renewed = renewLogin(page, state);
  const login = {
    browser: renewed.digest,
    attempt: { challenge, cluster, device },
    proof: { ...proof, backendUser: { username, ...(uid !== undefined && { uid }) } },
    revision,
    ...(next && { next }),
  };
  const isPut = await fromPending(service, () => browser.pending.put(attempt, login));
  if (!isPut) throw new PageError('used', 409);
  sendToNext(renewed.enter(), next);
}

async function logInOnPage(page: PageRequest): Promise<void> {
  const { state, form } = await readPageForm(page);
  const { service, signal, facts } = page;
  const credentials = parseCredentials(form);
  const { revision } = service.revocations;
  try {
    const prove = async () => {
      if (credentials === undefined) throw wrongCredentials();
      const proof = await provePassword(service, credentials, signal, facts);
      return { proof, next: await findNext(page, proof) };
    };
    const { proof, next } = await inSteps(signal, () => withinLimits(page, prove));
    await keepLogin(page, state, { proof, revision, next });
  } catch (error) {
    const problem = findProblem(error, 'wrong-credentials');
    if (problem === undefined) throw error;
    showLogin(page, state, problem, credentials?.username);
  }
}

/** Sends the code to the client, shows it, or ends the attempt, as the person chose. */
async function confirm(page: PageRequest): Promise<void> {
  const { service, browser, attempt, facts } = page;
  const { state, form } = await readPageForm(page);
  const answer = form.get('answer');
  const login = await findLogin(page, state);
  const secret = findLoginSecret(attempt, state);
  if (login === undefined || secret === undefined)
    throw new PageError(answer === 'cancel' ? 'not-cancelled' : 'used', 409);
  const { authenticator, provider, user } = login.proof;
  addFacts(facts, { authenticator, provider: provider?.name, username: user.username });
  const client = attempt.port === undefined ? undefined : `http://127.0.0.1:${attempt.port}/`;
  if (login.next !== undefined && answer !== 'cancel') return sendToNext(page, login.next);
  if (answer === 'cancel') {
    facts.reason = 'cancelled';
    const isCancelled = await fromPending(service, () =>
      browser.pending.cancel(attempt.id, secret),
    );
    if (!isCancelled) throw new PageError('not-cancelled', 409);
    if (client === undefined) return showPage(page, messagePage({ kind: 'cancelled' }));
    return sendTo(page, `${client}?cancelled=${attempt.id}`);
  }
  const isSent = answer === 'redirect' && client !== undefined;
  if (!isSent && answer !== 'code') throw new PageError('bad-request', 400, page.path);
  const code = await fromPending(service, () => browser.pending.issueCode(attempt, secret));
  if (code === undefined) throw new PageError('used', 409);
  if (isSent) return sendTo(page, `${client}?id=${attempt.id}&code=${code}`);
  showPage(page, codePage({ attempt: describeAttempt(page), username: user.username, code }));
}

/** Adds the pages of second factors. They come before the paths of attempts, one of which would fit `/login/factors`. */
function addFactorPages(route: AddRoute, addPage: AddRoute<PageRequest>): void {
  route('get', '/login/factors', 'begin', beginVisit);
  route('get', '/login/factors/:invitation', 'begin', beginVisit);
  addPage('get', '/login/:attempt/factor', 'page', showFactor);
  addPage('post', '/login/:attempt/factor', 'page-factor', (page) => proveOnPage(page, 'code'));
  addPage('post', '/login/:attempt/passkey', 'page-factor', (page) => proveOnPage(page, 'passkey'));
  addPage('get', '/login/:attempt/factors', 'page', showFactors);
  addPage('post', '/login/:attempt/factors', 'change-factors', changeFactors);
}

/** Begins a visit to change second factors. It uses nothing up: scanners open the links in a mail as well. */
async function beginVisit(request: LoginRequest): Promise<void> {
  const { context, service, address } = request;
  const { attempts } = requireBrowserLogins(service);
  requireFactors(service);
  const { invitation } = context.params as { readonly invitation?: string };
  if (invitation !== undefined && invitation.length > maxTyped)
    throw new PageError('not-found', 404);
  const attempt = attempts.begin({
    until: Date.now() + attemptLifetime,
    challenge: '',
    address,
    manages: { invitation },
  });
  sendTo(request, writePath(attempt));
}
