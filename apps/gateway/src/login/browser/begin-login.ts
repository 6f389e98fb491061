import type { Decision, RejectionReason } from '@sallyport/authenticator';
import { asError } from '../../base/logging/error-fields.ts';
import { attemptLifetime, idLength, isVerifier } from '../attempts/attempt.ts';
import {
  createUnavailableError,
  type LoginError,
  uncheckedLogin,
  wrongCode,
} from '../login-error.ts';
import { addFacts } from '../login-facts.ts';
import { answerSession, type LoginRequest } from '../login-request.ts';
import {
  chooseCluster,
  createSession,
  findProvider,
  type LoginService,
  type Proof,
  parseBrowserBody,
  parseCodeBody,
} from '../login-service.ts';
import { randomText } from '../secret-text.ts';
import { fromPending, requireBrowserLogins } from './browser-logins.ts';

/** Begins a login that a person continues in a browser. */
export async function beginLogin(request: LoginRequest, body: unknown): Promise<void> {
  const { context, service, address, facts } = request;
  const { attempts } = requireBrowserLogins(service);
  const login = parseBrowserBody(body);
  const cluster = chooseCluster(service.config, login.cluster);
  addFacts(facts, { device: login.device, cluster });
  const until = Date.now() + attemptLifetime;
  const attempt = { ...login, id: randomText(idLength), until, address, cluster };
  const url = `${service.config.publicUrl}/login/${attempts.writeAttempt(attempt)}`;
  context.status = 201;
  context.body = { id: attempt.id, url, expiresAt: new Date(until) };
}

/** Makes a session for the client that began a login. A client with another verifier ends the login. */
export async function redeemCode(request: LoginRequest, body: unknown): Promise<void> {
  const { service, address, signal, facts } = request;
  facts.action = 'redeem';
  const { pending } = requireBrowserLogins(service);
  const { code, verifier } = parseCodeBody(body);
  // Who was blocked since they logged in is not known. The code is not used up.
  if (service.blocks.isUnknown) throw createUnavailableError('the revocation list');
  const login = await fromPending(service, () => pending.take(code));
  if (login === undefined) throw wrongCode();
  const { attempt, proof, revision } = login;
  const { authenticator, provider, named } = proof;
  addFacts(facts, {
    authenticator,
    provider: provider?.name,
    username: named.username,
    device: attempt.device,
    cluster: attempt.cluster,
  });
  if (!isVerifier(verifier, attempt.challenge)) {
    facts.reason = 'wrong-verifier';
    throw wrongCode();
  }
  const current = await currentUser(service, proof, signal);
  const refuse = (reason: RejectionReason): LoginError => {
    facts.reason = reason;
    return wrongCode();
  };
  if (current.kind === 'rejected') throw refuse(current.reason);
  const isSame = current.kind === 'authenticated' && current.user.username === named.username;
  if (!isSame) throw refuse('unknown-user');
  const { user } = current;
  // A reload may have made it required since they logged in.
  if (service.factorPolicy.isMissing(proof, user.groups)) throw refuse('second-factor');
  const cluster = chooseCluster(service.config, attempt.cluster);
  const place = { cluster, device: attempt.device, address };
  const proven = { proof: { ...proof, named: user }, revision, refuse };
  const created = await createSession(service, proven, place, signal);
  answerSession(request, created, proof.login);
}

/**
 * Asks about a user of a provider again: since they logged in, their account in a directory may have been blocked or disabled. The
 * answer is as old as `refresh` of the directory allows.
 *
 * @throws LoginError if the directory can't be asked
 */
async function currentUser(
  { browser, logger }: LoginService,
  proof: Proof,
  signal: AbortSignal,
): Promise<Decision> {
  const { given: backendUser, named, since, provider } = proof;
  if (provider === undefined) return { kind: 'authenticated', user: named };
  const loginProvider = findProvider(browser?.providers.values() ?? [], proof);
  if (loginProvider === undefined) return { kind: 'rejected', reason: 'unknown-user' };
  const session = { username: backendUser.username, uid: backendUser.uid, since, provider };
  try {
    return await loginProvider.users(session, { audiences: [], signal });
  } catch (error) {
    const fields = { provider: provider.name, reason: asError(error).message };
    logger.warn(fields, 'user of a provider could not be checked');
    throw uncheckedLogin(false);
  }
}
