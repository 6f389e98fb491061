import type { Decision } from '@sallyport/authenticator';
import { asError } from '../../base/logging/error-fields.ts';
import { attemptLifetime, idLength, isVerifier, randomText } from '../attempts/attempt.ts';
import { unavailable, wrongCode } from '../login-error.ts';
import { answerSession, type LoginRequest } from '../login-request.ts';
import {
  type BrowserLogins,
  chooseCluster,
  createSession,
  type LoginService,
  type Proof,
  parseBrowserBody,
  parseCodeBody,
} from '../login-service.ts';
import { browserOf, fromPending } from './browser-logins.ts';

/** Begins a login that a person continues in a browser. */
export async function beginLogin(request: LoginRequest, body: unknown): Promise<void> {
  const { context, service, address, known } = request;
  const { attempts } = browserOf(service);
  const asked = parseBrowserBody(body);
  const cluster = chooseCluster(service.config, asked.cluster);
  Object.assign(known, { device: asked.device, cluster });
  const until = Date.now() + attemptLifetime;
  const attempt = { ...asked, id: randomText(idLength), until, address, cluster };
  const url = `${service.config.publicUrl}/login/${attempts.writeAttempt(attempt)}`;
  context.status = 201;
  context.body = { id: attempt.id, url, expiresAt: new Date(until) };
}

/** Makes a session for the client that began a login. A client with another verifier ends the login. */
export async function redeemCode(request: LoginRequest, body: unknown): Promise<void> {
  const { context, service, address, signal, known } = request;
  known.action = 'redeem';
  const { pending, revocations, blocks } = browserOf(service);
  const { code, verifier } = parseCodeBody(body);
  // Who was blocked since they logged in is not known.
  if (blocks.isUnknown) throw unavailable('the revocation list');
  const login = await fromPending(service, () => pending.take(code));
  if (login === undefined) throw wrongCode();
  const { attempt, proof, revision } = login;
  const { authenticator, provider, named } = proof;
  Object.assign(known, {
    authenticator,
    provider: provider?.name,
    username: named.username,
    device: attempt.device,
    cluster: attempt.cluster,
  });
  if (!isVerifier(verifier, attempt.challenge)) {
    known.reason = 'wrong-verifier';
    throw wrongCode();
  }
  if (revocations.isRevoked(revision, named.username, code)) {
    known.reason = 'revoked';
    throw wrongCode();
  }
  const today = await userNow(service, proof, signal);
  if (today.kind !== 'authenticated' || isBlocked(blocks, proof)) {
    known.reason = today.kind === 'rejected' ? today.reason : 'blocked';
    throw wrongCode();
  }
  const cluster = chooseCluster(service.config, attempt.cluster);
  const place = { cluster, device: attempt.device, address };
  const { user: now } = today;
  answerSession(request, await createSession(service, { ...proof, named: now }, place, signal));
  Object.assign(context.body as object, { login: proof.login });
}

/**
 * Asks about a user of a provider again: their account in a directory may have been blocked or disabled since they logged in.
 *
 * @throws LoginError if the directory can't be asked
 */
async function userNow(
  { browser, logger }: LoginService,
  { given, named, since, provider }: Proof,
  signal: AbortSignal,
): Promise<Decision> {
  if (provider === undefined) return { kind: 'authenticated', user: named };
  const users = browser?.providers.get(provider.name)?.users;
  if (users === undefined) throw wrongCode();
  const session = { username: given.username, uid: given.uid, since, provider };
  try {
    return await users(session, { audiences: [], signal });
  } catch (error) {
    logger.warn({ provider: provider.name, reason: asError(error).message }, userUnchecked);
    throw unavailable('the directory');
  }
}

const userUnchecked = 'user of a provider could not be checked';

/** Whether a user was blocked after they logged in. The session would be refused, but only until the end of the block. */
function isBlocked(blocks: BrowserLogins['blocks'], { named, provider }: Proof): boolean {
  const { credential } = provider ?? {};
  const block =
    blocks.ofUser(named.username, named.groups ?? []) ??
    (credential && blocks.ofCredential(credential));
  return block !== undefined;
}
