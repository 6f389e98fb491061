import { wrongCode } from '../login-error.ts';
import { answerSession, type LoginRequest } from '../login-request.ts';
import { chooseCluster, createSession, parseBrowserBody, parseCodeBody } from '../login-service.ts';
import { attemptLifetime, idLength, isVerifier, randomText } from './attempt.ts';
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
  const { pending, revocations } = browserOf(service);
  const { code, verifier } = parseCodeBody(body);
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
  const cluster = chooseCluster(service.config, attempt.cluster);
  const place = { cluster, device: attempt.device, address };
  answerSession(request, await createSession(service, proof, place, signal));
}
