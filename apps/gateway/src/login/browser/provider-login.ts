import { asError, withoutToken } from '../../base/logging/error-fields.ts';
import { digestToken } from '../../engine/revocation/list.ts';
import type { SessionTexts } from '../../engine/sessions/session-text.ts';
import { type BrowserState, idLength } from '../attempts/attempt.ts';
import { LoginError } from '../login-error.ts';
import { addFacts } from '../login-facts.ts';
import { entered, type LoginRequest } from '../login-request.ts';
import type { LoginProvider } from '../login-service.ts';
import type { LoginProblem } from '../pages/texts.ts';
import { type Proof, toSessionUser } from '../proof.ts';
import { ProviderError } from '../providers/provider-error.ts';
import type { AddressShares } from '../rate-limit.ts';
import { PageError } from './page-error.ts';
import {
  makePageRequest,
  type PageRequest,
  readState,
  requireBrowserLogins,
  requireState,
} from './page-request.ts';

/** Begins a login at a provider. @returns where the browser is to go, or why it can't */
export async function beginAtProvider(page: PageRequest) {
  const { context, service, browser, attempt, signal } = page;
  // Providers have second factors of their own.
  if (attempt.manages !== undefined) throw new PageError('not-found', 404);
  const { flow: _, ...state } = requireState(page);
  requireOwnLink(page);
  const { attempt: sealed = '', provider: name = '' } = context.params as Record<string, string>;
  const provider = requireProvider(page, browser.providers, name);
  const { revision } = service.revocations;
  try {
    // After a refusal, the person wants to be another user there. A `prompt` of the config asks for one as well.
    const isOther = context.querystring === 'other';
    const hint = isOther ? undefined : attempt.username;
    const { url, flow } = await provider.client.begin(
      attempt.id,
      { loginHint: hint, ...(isOther && { prompt: 'login' }) },
      signal,
    );
    const begun = { ...flow, provider: name, attempt: sealed, revision };
    return { state: { ...state, flow: begun }, url };
  } catch (error) {
    return { state, problem: providerProblem(page, provider, error) };
  }
}

/**
 * Refuses a link of another site, or of another port of this host: the provider may log the person in without a question. A link
 * that the person typed or opened in another program is `none`. Old browsers say nothing.
 *
 * @throws PageError
 */
function requireOwnLink({ context, path }: PageRequest): void {
  const { 'sec-fetch-site': site = 'none' } = context.req.headers;
  if (site !== 'same-origin' && site !== 'none') throw new PageError('foreign-link', 403, path);
}

function requireProvider(
  { facts }: LoginRequest,
  providers: ReadonlyMap<string, LoginProvider>,
  name: string,
): LoginProvider {
  const provider = providers.get(name);
  if (provider === undefined) throw new PageError('not-found', 404);
  addFacts(facts, { provider: name, authenticator: provider.authenticator });
  return provider;
}

/** The limits of what the log says of an ID token. A directory adds its searches. */
const [maxSteps, maxStepLength] = [8, 200];

/** What becomes of the answer of a provider: the person's proof, or why there is none. */
interface ProviderAnswer {
  readonly page: PageRequest;
  readonly state: BrowserState;
  readonly problem?: LoginProblem;
  readonly proof?: { readonly proof: Proof; readonly revision: number };
}

/**
 * Reads the answer of a provider, which the browser brings. It must be for the login that this browser has begun there.
 *
 * @param counted counts answers that wait for a provider, which may hang: they take no slot of logins with a password
 * @throws PageError if it has begun none
 */
export async function finishAtProvider(
  request: LoginRequest,
  counted: AddressShares,
): Promise<ProviderAnswer> {
  const { context, service } = request;
  const browser = requireBrowserLogins(service);
  const { provider: name = '' } = context.params as Record<string, string>;
  const provider = requireProvider(request, browser.providers, name);
  const query = new URLSearchParams(context.querystring);
  // The provider's state begins with the id of the attempt, which names the cookie.
  const flow = readState(request, (query.get('state') ?? '').slice(0, idLength))?.flow;
  if (flow === undefined || flow.provider !== name) throw new PageError('other-browser', 403);
  const page = makePageRequest(request, flow.attempt);
  const { flow: _, ...withoutFlow } = requireState(page);
  // What was kept for this answer takes most of the cookie. An answer that is not from there does not end the flow.
  const state = query.get('state') === flow.state ? withoutFlow : { ...withoutFlow, flow };
  try {
    const leave = entered(counted.enter(request.address, service.config.limits.inFlight));
    const proof = await prove(page, provider, query, flow).finally(leave);
    if (proof === undefined) return { page, state, problem: 'provider-refused' };
    return { page, state, proof: { proof, revision: flow.revision } };
  } catch (error) {
    return { page, state, problem: providerProblem(page, provider, error) };
  }
}

/**
 * @returns undefined if the authenticator does not accept the ID token, or no session of its user can be stored: they must not
 *   learn that after they have confirmed
 */
async function prove(
  { facts, signal, service: { logger, texts } }: PageRequest,
  provider: LoginProvider,
  query: URLSearchParams,
  flow: NonNullable<BrowserState['flow']>,
): Promise<Proof | undefined> {
  const since = Date.now();
  const { idToken, acr, amr, authTime } = await provider.client.finish(query, flow, signal);
  // No one has the ID token afterwards, so the log says how it was decided, without the values that `explain` shows.
  const steps: string[] = [];
  const trace = (step: string) => {
    if (steps.length < maxSteps) steps.push(withoutToken(step, idToken).slice(0, maxStepLength));
  };
  const answer = await provider
    .logIn(idToken, { audiences: [], signal, trace })
    .catch((error: unknown) => {
      throw new Error(withoutToken(asError(error).message, idToken));
    });
  const refuse = (reason: string, name = '') => {
    const subject = withoutToken(name, idToken) || undefined;
    addFacts(facts, { reason, subject });
    const { authenticator } = facts;
    logger.warn(
      { provider: provider.name, authenticator, reason, subject, steps },
      'ID token refused',
    );
    return undefined;
  };
  if (answer.kind === 'no-opinion') return refuse('unknown-user');
  if (answer.kind === 'rejected') return refuse(answer.reason, answer.subject);
  const { backendUser, user, credential } = answer;
  const { groups, extra } = backendUser;
  if ((user.groups ?? []).length === 0) {
    const { authenticator } = provider;
    const fields = { provider: provider.name, authenticator, username: user.username, steps };
    // A config may map no groups, and bind roles to users alone.
    logger.info(fields, 'user of a provider has no groups');
  }
  const proof: Proof = {
    authenticator: provider.authenticator,
    since,
    backendUser,
    user,
    login: backendUser.username,
    tokenDigest: digestToken(idToken),
    provider: {
      name: provider.name,
      issuer: provider.issuer,
      clientId: provider.clientId,
      ...(groups && { groups }),
      ...(extra && { extra }),
      ...(credential && { credential }),
      ...(acr !== undefined && { acr }),
      ...(amr !== undefined && { amr }),
      ...(authTime !== undefined && { authTime }),
    },
  };
  const problem = whyNotStorable(texts, proof);
  if (problem === undefined) return proof;
  steps.push(problem);
  return refuse('session-not-storable', backendUser.username);
}

/** The contract allows 64,000 characters. The names of a cluster, an audience and a device take the rest. */
const maxSessionText = 63_000;

/** Says why the session store can't store a session of this user, whatever cluster it is for. */
function whyNotStorable(texts: SessionTexts, proof: Proof): string | undefined {
  const user = toSessionUser(proof);
  const { name } = user;
  if (name.includes('\uFFFD'))
    return 'the name contains U+FFFD, which stands for bytes that are not text: correct it at the provider';
  const session = { ...user, until: proof.since, address: '' };
  const { length } = JSON.stringify([name, texts.write('', session)]);
  return length > maxSessionText
    ? `the session would have ${length} characters, more than ${maxSessionText}: have the provider send fewer groups`
    : undefined;
}

/** Says on the page why a provider did not log the person in, and in the log what to do about it. */
function providerProblem(
  { facts, service: { logger } }: PageRequest,
  { name, authenticator }: LoginProvider,
  error: unknown,
): LoginProblem {
  if (error instanceof LoginError) {
    if (error.status === 429) return 'too-many';
    throw error;
  }
  const reason = asError(error).message;
  if (!(error instanceof ProviderError)) {
    logger.warn({ provider: name, authenticator, reason }, 'ID token could not be checked');
    return 'unavailable';
  }
  facts.reason = `provider-${error.kind}`;
  if (error.kind !== 'denied')
    logger.warn({ provider: name, authenticator, reason }, 'login at a provider failed');
  return `provider-${error.kind}`;
}
