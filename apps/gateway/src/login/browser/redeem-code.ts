import type { RejectionReason, UserInfo } from '@sallyport/authenticator';
import { asError } from '../../base/logging/error-fields.ts';
import { isVerifier } from '../attempts/attempt.ts';
import { createSession } from '../create-session.ts';
import { requireKnownBlocks } from '../ended-login.ts';
import { type LoginError, uncheckedLogin, wrongCode } from '../login-error.ts';
import { addFacts } from '../login-facts.ts';
import { answerSession, type LoginRequest } from '../login-request.ts';
import type { LoginService } from '../login-service.ts';
import type { Proof } from '../proof.ts';
import { chooseCluster, parseCodeBody } from '../request-bodies.ts';
import { findUserToday } from '../user-today.ts';
import { fromPending } from './next-page.ts';
import { requireBrowserLogins } from './page-request.ts';

/** Makes a session for the client that began a login. A client with another verifier ends the login. */
export async function redeemCode(request: LoginRequest, body: unknown): Promise<void> {
  const { service, address, signal, facts } = request;
  facts.action = 'redeem';
  const { pending } = requireBrowserLogins(service);
  const { id, code, verifier, device } = parseCodeBody(body);
  // Who was blocked since they logged in is not known. The code is not used up.
  requireKnownBlocks(service);
  const login = await fromPending(service, () => pending.take(id, code));
  if (login === undefined) throw wrongCode();
  const { attempt, proof, revision } = login;
  const { authenticator, provider } = proof;
  addFacts(facts, {
    authenticator,
    provider: provider?.name,
    username: proof.user.username,
    device: attempt.device ?? device,
    cluster: attempt.cluster,
  });
  if (!isVerifier(verifier, attempt.challenge)) {
    facts.reason = 'wrong-verifier';
    throw wrongCode();
  }
  const today = await findUserToday(service, proof, signal);
  const refuse = (reason: RejectionReason): LoginError => {
    facts.reason = reason;
    return wrongCode();
  };
  if ('reason' in today) throw refuse(today.reason);
  const user = 'user' in today ? today.user : withoutAnswer(service, proof, today.failure);
  // A reload may have made it required since they logged in.
  if (service.factorPolicy.isMissing(proof, user.groups)) throw refuse('second-factor');
  const cluster = chooseCluster(service.config, attempt.cluster);
  const place = { cluster, device: attempt.device ?? device, address };
  const proven = { proof: { ...proof, user }, revision, refuse };
  const created = await createSession(service, proven, place, signal);
  answerSession(request, created, proof.login);
}

/**
 * A directory that has checked the password and can't be asked now ends no login: each review asks it again.
 *
 * @throws LoginError for the user of a provider
 */
function withoutAnswer(
  { logger }: LoginService,
  { user, provider }: Proof,
  failure: unknown,
): UserInfo {
  if (provider === undefined) return user;
  const fields = { provider: provider.name, reason: asError(failure).message };
  logger.warn(fields, 'user of a provider could not be checked');
  throw uncheckedLogin(false);
}
