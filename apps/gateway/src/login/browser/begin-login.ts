import type { Decision, RejectionReason } from '@sallyport/authenticator';
import { asError } from '../../base/logging/error-fields.ts';
import { attemptLifetime, idLength, isVerifier } from '../attempts/attempt.ts';
import { createSession } from '../create-session.ts';
import { requireKnownBlocks } from '../ended-login.ts';
import { type LoginError, uncheckedLogin, wrongCode } from '../login-error.ts';
import { addFacts } from '../login-facts.ts';
import { answerSession, type LoginRequest } from '../login-request.ts';
import type { LoginService } from '../login-service.ts';
import type { Proof } from '../proof.ts';
import { chooseCluster, parseBrowserBody, parseCodeBody } from '../request-bodies.ts';
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
  requireKnownBlocks(service);
  const login = await fromPending(service, () => pending.take(code));
  if (login === undefined) throw wrongCode();
  const { attempt, proof, revision } = login;
  const { authenticator, provider } = proof;
  addFacts(facts, {
    authenticator,
    provider: provider?.name,
    username: proof.user.username,
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
  const isSame = current.kind === 'authenticated' && current.user.username === proof.user.username;
  if (!isSame) throw refuse('unknown-user');
  const { user } = current;
  // A reload may have made it required since they logged in.
  if (service.factorPolicy.isMissing(proof, user.groups)) throw refuse('second-factor');
  const cluster = chooseCluster(service.config, attempt.cluster);
  const place = { cluster, device: attempt.device, address };
  const proven = { proof: { ...proof, user }, revision, refuse };
  const created = await createSession(service, proven, place, signal);
  answerSession(request, created, proof.login);
}

/**
 * Asks about the user again, as a review of their session would: since they logged in, their account may have been disabled, or
 * their authenticator or provider removed from `login`. The answer about a provider's user is as old as `refresh` of the directory
 * allows. A directory that has checked the password and can't be asked now ends no login: each review asks it again.
 *
 * @throws LoginError if the directory of a provider's user can't be asked
 */
async function currentUser(
  { findSessionUsers, logger }: LoginService,
  { authenticator, backendUser: { username, uid }, user, since, provider }: Proof,
  signal: AbortSignal,
): Promise<Decision> {
  const users = findSessionUsers({ authenticator, provider });
  if (users === undefined) return { kind: 'rejected', reason: 'unknown-user' };
  try {
    return await users({ username, uid, since, provider }, { audiences: [], signal });
  } catch (error) {
    if (provider === undefined) return { kind: 'authenticated', user };
    const fields = { provider: provider.name, reason: asError(error).message };
    logger.warn(fields, 'user of a provider could not be checked');
    throw uncheckedLogin(false);
  }
}
