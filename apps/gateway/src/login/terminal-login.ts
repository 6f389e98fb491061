import type { RejectionReason } from '@sallyport/authenticator';
import { createSession } from './create-session.ts';
import { LoginError, wrongCredentials } from './login-error.ts';
import { answerSession, countedLogin, type LoginRequest } from './login-request.ts';
import { proveFactor } from './prove-factor.ts';
import { provePassword } from './prove-password.ts';
import { chooseCluster, parseLoginBody } from './request-bodies.ts';

/**
 * Makes a session for a user who has the password, and the code of a second factor if they need one.
 *
 * @throws LoginError as {@link provePassword}, {@link proveFactor} and {@link createSession}
 */
export async function logInAtTerminal(request: LoginRequest, body: unknown): Promise<void> {
  const { service, address, signal, facts } = request;
  const loginBody = parseLoginBody(body);
  const { device, code } = loginBody;
  facts.device = device;
  const cluster = chooseCluster(service.config, loginBody.cluster);
  const { revision } = service.revocations;
  const password = await provePassword(service, loginBody, signal, facts).catch(
    (error: unknown) => {
      const isRefused = error instanceof LoginError && error.code === 'wrong-credentials';
      throw isRefused ? wrongCredentials(code !== undefined) : error;
    },
  );
  const proof = await countedLogin(request, password, () =>
    proveFactor(service, password, code, signal, facts),
  );
  const refuse = (reason: RejectionReason) => {
    facts.reason = reason;
    return wrongCredentials(code !== undefined);
  };
  const place = { cluster, device, address };
  answerSession(request, await createSession(service, { proof, revision, refuse }, place, signal));
}
