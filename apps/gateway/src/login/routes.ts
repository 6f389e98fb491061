import Router from '@koa/router';
import type { Context } from 'koa';
import { shortDigest } from '../engine/revocation/list.ts';
import type { Session } from '../engine/sessions/session-text.ts';
import { createBodyReader } from '../http/read-body.ts';
import { beginLogin } from './browser/begin-login.ts';
import { addPages } from './browser/page-routes.ts';
import { redeemCode } from './browser/redeem-code.ts';
import { enrolApp } from './enrol-app.ts';
import { arrivingBodies, maxBodyBytes } from './limits.ts';
import { LoginError, noSession } from './login-error.ts';
import { addFacts } from './login-facts.ts';
import {
  type AddRoute,
  entered,
  inSteps,
  type LoginRequest,
  withinLimits,
} from './login-request.ts';
import { currentSession, listOwn, logOut, logOutEverywhere } from './own-sessions.ts';
import { type AddressShares, createAddressShares } from './rate-limit.ts';
import { isRedemption } from './request-bodies.ts';
import { logInAtTerminal } from './terminal-login.ts';

/**
 * Routes the requests of the login server. Each finds its `LoginRequest` in `context.state`.
 *
 * @param bodyTimeout milliseconds
 */
export function createLoginRouter(bodyTimeout: number): Router {
  const readBody = createBodyReader(() => maxBodyBytes, bodyTimeout, arrivingBodies, '');
  const router = new Router({ strict: true, sensitive: true });
  const route: AddRoute = (method, path, action, handle) => {
    router[method](path, async (context) => {
      const { request } = context.state as { readonly request: LoginRequest };
      request.facts.action = action;
      await handle(request);
    });
  };
  // These requests send no password to a directory, and no one can guess a token. So neither logins in progress nor
  // refused ones stop them.
  const [questions, logouts] = [createAddressShares(), createAddressShares()];
  const withToken =
    (counted: AddressShares, work: (request: LoginRequest, token: string) => Promise<void>) =>
    async (request: LoginRequest) => {
      const { context, facts, address, service } = request;
      const token = readBearer(context);
      facts.token = token;
      const leave = entered(counted.enter(address, service.config.limits.inFlight));
      await work(request, token).finally(leave);
    };

  route('post', '/v1/sessions', 'login', (request) =>
    inSteps(request.signal, async () => {
      const body = await readBody(request.context);
      const make = isRedemption(body) ? redeemCode : logInAtTerminal;
      await withinLimits(request, () => make(request, body));
    }),
  );
  route('post', '/v1/logins', 'begin', async (request) =>
    beginLogin(request, await readBody(request.context)),
  );
  route('post', '/v1/factors', 'begin-factor', (request) =>
    inSteps(request.signal, async () => {
      const body = await readBody(request.context);
      await withinLimits(request, () => enrolApp(request, body));
    }),
  );
  addPages(route);
  route('get', '/v1/session', 'session', withToken(questions, showSession));
  route('get', '/v1/sessions', 'sessions', withToken(questions, showSessions));
  route('delete', '/v1/session', 'logout', withToken(logouts, endSession));
  route('delete', '/v1/sessions', 'logout-everywhere', withToken(logouts, endSessions));
  route('get', '/v1/clusters', 'clusters', async ({ context, service }) => {
    const { clusters, authenticators, browser } = service.config;
    const passwords = authenticators.length > 0;
    const names = Object.keys(clusters).map((name) => ({ name }));
    const secondFactor = service.factors !== undefined;
    context.body = { clusters: names, browser, passwords, secondFactor };
  });
  route('get', '/v1/clusters/:name/kubeconfig', 'kubeconfig', showKubeconfig);
  return router;
}

/** Reads the token of the header (RFC 6750 section 2.1). @throws LoginError when there is none */
function readBearer({ req }: Context): string {
  const [, token] = /^Bearer ([\w.~+/-]+=*)$/i.exec(req.headers.authorization ?? '') ?? [];
  if (token === undefined)
    throw noSession('send the token of the session in a header: Authorization: Bearer TOKEN');
  return token;
}

async function current({ service, signal, facts }: LoginRequest, token: string) {
  const currentLogin = await currentSession(service, token, signal);
  facts.session = currentLogin.session;
  return currentLogin;
}

async function showSession(request: LoginRequest, token: string): Promise<void> {
  const { session, user, digest } = await current(request, token);
  const idleSeconds = Math.floor(request.service.config.idle / 1_000);
  request.context.body = { ...describe(session, digest), idleSeconds, user };
}

async function showSessions(request: LoginRequest, token: string): Promise<void> {
  const ownSession = await current(request, token);
  request.context.body = {
    sessions: (await listOwn(request.service, ownSession, request.signal)).map(
      ({ session, digest, lastUsedAt, state }) => ({
        ...describe(session, digest),
        lastUsedAt,
        current: digest === ownSession.digest,
        state,
      }),
    ),
  };
}

function describe({ cluster, device, since, until }: Session, digest: string): object {
  return {
    id: shortDigest(digest),
    cluster,
    device,
    since: new Date(since),
    expiresAt: new Date(until),
  };
}

async function endSession(
  { context, service, signal, facts }: LoginRequest,
  token: string,
): Promise<void> {
  const { session, wasInForce, unconfirmed } = await logOut(service, token, signal);
  const ended = wasInForce ? 1 : 0;
  addFacts(facts, { session, ended });
  if (unconfirmed > 0) context.body = { ended, unconfirmed };
  else context.status = 204;
}

async function endSessions(
  { context, service, signal, facts }: LoginRequest,
  token: string,
): Promise<void> {
  const { session, count, unconfirmed } = await logOutEverywhere(service, token, signal);
  addFacts(facts, { session, ended: count });
  context.body = { ended: count, ...(unconfirmed > 0 && { unconfirmed }) };
}

async function showKubeconfig({ context, service }: LoginRequest): Promise<void> {
  const { name } = context.params as { readonly name: string };
  const text = service.kubeconfig(name);
  if (text === undefined)
    throw new LoginError(404, 'unknown-cluster', 'there is no such cluster: see /v1/clusters');
  context.type = 'application/yaml';
  context.body = text;
}
