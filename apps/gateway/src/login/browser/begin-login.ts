import { attemptLifetime, idLength } from '../attempts/attempt.ts';
import { addFacts } from '../login-facts.ts';
import type { LoginRequest } from '../login-request.ts';
import { chooseCluster, parseBrowserBody } from '../request-bodies.ts';
import { randomText } from '../secret-text.ts';
import { requireBrowserLogins } from './page-request.ts';

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
