import { attemptLifetime, idLength, isVerifier, randomText } from '../attempts/attempt.ts';
import { unavailable, wrongCode } from '../login-error.ts';
import { answerSession, type LoginRequest } from '../login-request.ts';
import {
  type BrowserLogins,
  chooseCluster,
  createSession,
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

/** Makes a session for the client that began a login. A client without its secret ends the login. */
export async function redeemCode(request: LoginRequest, body: unknown): Promise<void> {
  const { service, address, signal, known } = request;
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
  if (isBlocked(blocks, proof)) {
    known.reason = 'blocked';
    throw wrongCode();
  }
  const cluster = chooseCluster(service.config, attempt.cluster);
  const place = { cluster, device: attempt.device, address };
  answerSession(request, await createSession(service, proof, place, signal));
}

/** Whether a user was blocked after they logged in. The session would be refused, but only until the end of the block. */
function isBlocked(blocks: BrowserLogins['blocks'], { named, provider }: Proof): boolean {
  const { credential } = provider ?? {};
  const block =
    blocks.ofUser(named.username, named.groups ?? []) ??
    (credential && blocks.ofCredential(credential));
  return block !== undefined;
}
