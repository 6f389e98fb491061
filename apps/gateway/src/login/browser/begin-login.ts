import { attemptLifetime, writePath } from '../attempts/attempt.ts';
import { shortenChallenge } from '../attempts/attempt-bytes.ts';
import { addFacts } from '../login-facts.ts';
import type { LoginRequest } from '../login-request.ts';
import { chooseCluster, parseBrowserBody } from '../request-bodies.ts';
import { requireBrowserLogins } from './page-request.ts';

/** Begins a login that a person continues in a browser. */
export async function beginLogin(request: LoginRequest, body: unknown): Promise<void> {
  const { context, service, address, facts } = request;
  const { attempts } = requireBrowserLogins(service);
  const login = parseBrowserBody(body);
  const cluster = chooseCluster(service.config, login.cluster);
  addFacts(facts, { device: login.device, cluster });
  const challenge = shortenChallenge(login.challenge);
  const until = Date.now() + attemptLifetime;
  const attempt = attempts.begin({ ...login, challenge, until, address, cluster });
  const url = `${service.config.publicUrl}${writePath(attempt)}`;
  context.status = 201;
  context.body = { id: attempt.id, url, expiresAt: new Date(attempt.until) };
}
