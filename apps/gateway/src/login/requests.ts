import Router from '@koa/router';
import type { Context } from 'koa';
import { pause } from '../deadlines.ts';
import { shortDigest } from '../revocation/list.ts';
import { isClosed } from '../server/http-server.ts';
import type { InFlight } from '../server/limits.ts';
import { createBodyReader } from '../server/read-body.ts';
import type { Session } from '../sessions/session-text.ts';
import { type AddressLimit, createShares, type RateLimit, type Shares } from './bounds.ts';
import { LoginError, noSession, tooMany } from './login-error.ts';
import type { LoginAction, LoginReport } from './login-report.ts';
import { type LoginService, logIn, parseLoginRequest } from './login-service.ts';
import { currentSession, listOwn, logOut, logOutEverywhere } from './own-sessions.ts';

/** One request to the login server, and what is found out about it for its report. */
export interface LoginRequest {
  readonly context: Context;
  readonly service: LoginService;
  readonly address: string;
  /** Aborted when the client has gone, and after the time of a review. */
  readonly signal: AbortSignal;
  readonly known: { -readonly [Key in keyof LoginReport]?: LoginReport[Key] } & { action: LoginAction };
}

type Handler = (request: LoginRequest) => Promise<void>;

/** Bytes. */
const maxBodyBytes = 16 * 1024;

/** Milliseconds. A refused login takes a multiple of it, so that its time does not show how many directories were asked. */
const refusalStep = 500;

/**
 * The requests of the login server. Each finds its `LoginRequest` in `context.state`.
 *
 * @param bodyTimeout milliseconds
 * @param passwords refused ones of each address
 * @param logins of each user
 */
export function createLoginRouter(
  bodyTimeout: number,
  inFlight: InFlight,
  passwords: AddressLimit,
  logins: RateLimit,
): Router {
  const readBody = createBodyReader(() => maxBodyBytes, bodyTimeout, { count: 512, bytes: 4 * 1024 * 1024 }, '');
  const router = new Router({ strict: true, sensitive: true });
  const route = (method: 'get' | 'post' | 'delete', path: string, action: LoginAction, handle: Handler) => {
    router[method](path, async (context) => {
      const { request } = context.state as { readonly request: LoginRequest };
      request.known.action = action;
      await handle(request);
    });
  };
  // No password waits for these, and no one can guess a token: so logins in progress or refused never stop them.
  const [questions, logouts] = [createShares(), createShares()];
  const withToken =
    (counted: Shares, work: (request: LoginRequest, token: string) => Promise<void>): Handler =>
    async (request) => {
      const { context, known, address, service } = request;
      const token = bearerOf(context);
      known.token = token;
      const leave = entered(counted.enter(address, service.config.limits.inFlight));
      await work(request, token).finally(leave);
    };

  route('post', '/v1/sessions', 'login', async (request) => {
    const begun = performance.now();
    try {
      const body = await readBody(request.context);
      await withinLimits(request, inFlight, passwords, () => createSession(request, body, logins));
    } catch (error) {
      if (error instanceof LoginError && error.isGuess) await untilStep(begun, request.signal);
      throw error;
    }
  });
  route('get', '/v1/session', 'session', withToken(questions, showSession));
  route('get', '/v1/sessions', 'sessions', withToken(questions, showSessions));
  route('delete', '/v1/session', 'logout', withToken(logouts, endSession));
  route('delete', '/v1/sessions', 'logout-everywhere', withToken(logouts, endSessions));
  route('get', '/v1/clusters', 'clusters', async ({ context, service }) => {
    context.body = { clusters: Object.keys(service.config.clusters).map((name) => ({ name })) };
  });
  route('get', '/v1/clusters/:name/kubeconfig', 'kubeconfig', showKubeconfig);
  return router;
}

/** @throws LoginError when there are too many already */
function entered(leave: (() => void) | undefined): () => void {
  if (leave === undefined) throw tooMany('too many requests in progress', 1);
  return leave;
}

/**
 * Does work within what all clients together may cost, and what the guesses of one address may. Only a refusal is a guess, and
 * work that the client did not wait for: it costs the backend as much, and the limits of its user.
 */
async function withinLimits(
  request: LoginRequest,
  inFlight: InFlight,
  passwords: AddressLimit,
  work: () => Promise<void>,
) {
  const taken = passwords.take(request.address);
  if (typeof taken === 'number') throw tooMany('too many refused logins from this address', taken);
  let isGuess = false;
  try {
    const leave = entered(inFlight.enter(request.service.config.limits.inFlight));
    await work().finally(leave);
  } catch (error) {
    isGuess = isClosed(request.context.res) || (error instanceof LoginError && error.isGuess);
    throw error;
  } finally {
    if (!isGuess) taken();
  }
}

/** Without a slot: it costs nothing but an open connection. */
async function untilStep(begun: number, signal: AbortSignal): Promise<void> {
  const taken = performance.now() - begun;
  await pause(Math.ceil(taken / refusalStep) * refusalStep - taken, signal).catch(() => undefined);
}

/** RFC 6750, section 2.1. @throws LoginError when there is none */
function bearerOf({ req }: Context): string {
  const [, token] = /^Bearer ([\w.~+/-]+=*)$/i.exec(req.headers.authorization ?? '') ?? [];
  if (token === undefined) throw noSession();
  return token;
}

async function createSession(request: LoginRequest, body: unknown, logins: RateLimit): Promise<void> {
  const { context, service, address, signal, known } = request;
  const asked = parseLoginRequest(body);
  known.device = asked.device;
  const { token, session, user } = await logIn(service, asked, { address, signal, logins }, known);
  Object.assign(known, { token, session });
  context.status = 201;
  context.body = { token, expiresAt: new Date(session.until), user };
}

async function current({ service, signal, known }: LoginRequest, token: string) {
  const found = await currentSession(service, token, signal);
  known.session = found.session;
  return found;
}

async function showSession(request: LoginRequest, token: string): Promise<void> {
  const { session, user, digest } = await current(request, token);
  const idleSeconds = Math.floor(request.service.config.idle / 1_000);
  request.context.body = { ...describe(session, digest), idleSeconds, user };
}

async function showSessions(request: LoginRequest, token: string): Promise<void> {
  const own = await current(request, token);
  const all = await listOwn(request.service, own.session.name, request.signal);
  request.context.body = {
    sessions: all.map(({ session, digest, lastUsedAt }) => {
      return { ...describe(session, digest), lastUsedAt, current: digest === own.digest };
    }),
  };
}

function describe({ cluster, device, since, until }: Session, digest: string): object {
  return { id: shortDigest(digest), cluster, device, since: new Date(since), expiresAt: new Date(until) };
}

async function endSession({ context, service, signal, known }: LoginRequest, token: string): Promise<void> {
  const { session, wasInForce, unconfirmed } = await logOut(service, token, signal);
  const ended = wasInForce ? 1 : 0;
  Object.assign(known, { session, ended });
  if (unconfirmed > 0) context.body = { ended, unconfirmed };
  else context.status = 204;
}

async function endSessions({ context, service, signal, known }: LoginRequest, token: string): Promise<void> {
  const { session, count, unconfirmed } = await logOutEverywhere(service, token, signal);
  Object.assign(known, { session, ended: count });
  context.body = { ended: count, ...(unconfirmed > 0 && { unconfirmed }) };
}

async function showKubeconfig({ context, service }: LoginRequest): Promise<void> {
  const { name } = context.params as { readonly name: string };
  const text = service.kubeconfig(name);
  if (text === undefined) throw new LoginError(404, 'unknown-cluster', 'there is no such cluster: see /v1/clusters');
  context.type = 'application/yaml';
  context.body = text;
}
