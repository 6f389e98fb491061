import Router from '@koa/router';
import type { Context } from 'koa';
import { pause } from '../base/deadlines.ts';
import { shortDigest } from '../engine/revocation/list.ts';
import type { Session } from '../engine/sessions/session-text.ts';
import { isClosed } from '../http/http-server.ts';
import type { InFlight } from '../http/limits.ts';
import { createBodyReader } from '../http/read-body.ts';
import { createShares, type RateLimit, type Shares } from './bounds.ts';
import { LoginError, noSession, tooMany } from './login-error.ts';
import type { LoginAction, LoginFacts } from './login-report.ts';
import { type LoginService, logIn, parseLoginBody } from './login-service.ts';
import { currentSession, listOwn, logOut, logOutEverywhere } from './own-sessions.ts';

/** One request to the login server, with the facts for its report. */
export interface LoginRequest {
  readonly context: Context;
  readonly service: LoginService;
  readonly address: string;
  /** It is aborted when the client has gone, and after the time of a review. */
  readonly signal: AbortSignal;
  readonly known: { -readonly [Key in keyof LoginFacts]?: LoginFacts[Key] } & {
    action: LoginAction;
  };
}

type Handler = (request: LoginRequest) => Promise<void>;

/** The most bytes of a body. */
const maxBodyBytes = 16 * 1024;

/**
 * The step in milliseconds: a refused login takes a multiple of it, so that its time does not show how many directories
 * were asked.
 */
const refusalStep = 500;

/**
 * Routes the requests of the login server. Each finds its `LoginRequest` in `context.state`.
 *
 * @param bodyTimeout milliseconds
 * @param passwords counts the refused passwords of each address
 * @param logins counts the logins of each user
 */
export function createLoginRouter(
  bodyTimeout: number,
  inFlight: InFlight,
  passwords: RateLimit,
  logins: RateLimit,
): Router {
  const readBody = createBodyReader(
    () => maxBodyBytes,
    bodyTimeout,
    { count: 512, bytes: 4 * 1024 * 1024 },
    '',
  );
  const router = new Router({ strict: true, sensitive: true });
  const route = (
    method: 'get' | 'post' | 'delete',
    path: string,
    action: LoginAction,
    handle: Handler,
  ) => {
    router[method](path, async (context) => {
      const { request } = context.state as { readonly request: LoginRequest };
      request.known.action = action;
      await handle(request);
    });
  };
  // These requests send no password to a directory, and no one can guess a token. So neither logins in progress nor
  // refused ones stop them.
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

/** Returns what ends the count of a request. @throws LoginError when there are too many requests already */
function entered(leave: (() => void) | undefined): () => void {
  if (leave === undefined) throw tooMany('too many requests in progress', 1);
  return leave;
}

/**
 * Does work within the limit of all clients together, and of the guesses of one address. Only a refusal is a guess, and
 * work that the client did not wait for: it costs the backend as much, and counts for the user.
 */
async function withinLimits(
  request: LoginRequest,
  inFlight: InFlight,
  passwords: RateLimit,
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

/**
 * Waits until the time since `begun` is a multiple of the step. It takes no slot, since it costs only an open
 * connection.
 */
async function untilStep(begun: number, signal: AbortSignal): Promise<void> {
  const taken = performance.now() - begun;
  await pause(Math.ceil(taken / refusalStep) * refusalStep - taken, signal).catch(() => undefined);
}

/** Reads the token of the header (RFC 6750 section 2.1). @throws LoginError when there is none */
function bearerOf({ req }: Context): string {
  const [, token] = /^Bearer ([\w.~+/-]+=*)$/i.exec(req.headers.authorization ?? '') ?? [];
  if (token === undefined) throw noSession();
  return token;
}

async function createSession(
  request: LoginRequest,
  body: unknown,
  logins: RateLimit,
): Promise<void> {
  const { context, service, address, signal, known } = request;
  const asked = parseLoginBody(body);
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
  return {
    id: shortDigest(digest),
    cluster,
    device,
    since: new Date(since),
    expiresAt: new Date(until),
  };
}

async function endSession(
  { context, service, signal, known }: LoginRequest,
  token: string,
): Promise<void> {
  const { session, wasInForce, unconfirmed } = await logOut(service, token, signal);
  const ended = wasInForce ? 1 : 0;
  Object.assign(known, { session, ended });
  if (unconfirmed > 0) context.body = { ended, unconfirmed };
  else context.status = 204;
}

async function endSessions(
  { context, service, signal, known }: LoginRequest,
  token: string,
): Promise<void> {
  const { session, count, unconfirmed } = await logOutEverywhere(service, token, signal);
  Object.assign(known, { session, ended: count });
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
