import Router from '@koa/router';
import type { Context } from 'koa';
import { pause } from '../deadlines.ts';
import { digestOf } from '../revocation/list.ts';
import { isClosed } from '../server/http-server.ts';
import { createInFlight, type InFlight } from '../server/limits.ts';
import { createBodyReader } from '../server/read-body.ts';
import type { AddressLimit } from './address-limit.ts';
import { bounded } from './bounds.ts';
import { LoginError, noSession, tooMany } from './login-error.ts';
import type { LoginAction, LoginReport } from './login-report.ts';
import { parseLoginRequest } from './login-request.ts';
import { type LoginProgress, type LoginService, logIn } from './login-service.ts';
import { type CurrentSession, currentSession, listOwn, logOut, logOutEverywhere } from './own-sessions.ts';

/** One request to the login server, and what is found out about it for its report. */
export interface Exchange {
  readonly context: Context;
  readonly service: LoginService;
  readonly address: string;
  /** Aborted when the client has gone, and after the time of a review. */
  readonly signal: AbortSignal;
  known: Partial<LoginReport> & { readonly action: LoginAction };
}

export interface RequestDependencies {
  /** Milliseconds. */
  readonly bodyTimeout: number;
  /** Counts logins. */
  readonly inFlight: InFlight;
  /** Counts wrong passwords. */
  readonly passwords: AddressLimit;
}

/** Bytes. */
const largestBody = 16 * 1024;

/** Milliseconds. A refused login takes a multiple of it, so that its time does not show how many directories were asked. */
const refusalStep = 500;

/** The requests of the login server. Each finds its `Exchange` in `context.state`. */
export function createLoginRouter({ bodyTimeout, inFlight, passwords }: RequestDependencies): Router {
  const readBody = createBodyReader(() => largestBody, bodyTimeout, { count: 512, bytes: 4 * 1024 * 1024 }, '');
  const router = new Router({ strict: true, sensitive: true });
  const route = (
    method: 'get' | 'post' | 'delete',
    path: string,
    action: LoginAction,
    handle: (exchange: Exchange) => Promise<void>,
  ) => {
    router[method](path, async (context) => {
      const { exchange } = context.state as { readonly exchange: Exchange };
      exchange.known = { ...exchange.known, action };
      await handle(exchange);
    });
  };
  // No password waits for these, and no one can guess a token: so logins in progress or refused never stop them.
  const [questions, logouts] = [createInFlight(), createInFlight()];
  const withToken =
    (counted: InFlight, work: (exchange: Exchange, token: string) => Promise<void>) => async (exchange: Exchange) => {
      const token = bearerOf(exchange.context);
      exchange.known = { ...exchange.known, token };
      const leave = counted.enter(exchange.service.config.limits.inFlight);
      if (leave === undefined) throw tooMany('too many requests in progress', 1);
      await work(exchange, token).finally(leave);
    };

  route('post', '/v1/sessions', 'login', async (exchange) => {
    const begun = performance.now();
    try {
      const body = await readBody(exchange.context);
      const { service, address, context } = exchange;
      const { inFlight: maxInFlight } = service.config.limits;
      const bounds = { inFlight, limit: passwords, address, maxInFlight, isGone: () => isClosed(context.res) };
      await bounded(bounds, () => createSession(exchange, body));
    } catch (error) {
      if (error instanceof LoginError && error.isGuess) await untilStep(begun, exchange.signal);
      throw error;
    }
  });
  route('get', '/v1/session', 'session', withToken(questions, showSession));
  route('get', '/v1/sessions', 'sessions', withToken(questions, showSessions));
  route('delete', '/v1/session', 'logout', withToken(logouts, endSession));
  route('delete', '/v1/sessions', 'logout-everywhere', withToken(logouts, endSessions));
  route('get', '/v1/clusters', 'clusters', showClusters);
  route('get', '/v1/clusters/:name/kubeconfig', 'kubeconfig', showKubeconfig);
  return router;
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

async function createSession(exchange: Exchange, body: unknown): Promise<void> {
  const { context, service, address, signal } = exchange;
  const request = parseLoginRequest(body);
  const progress: LoginProgress = {};
  try {
    const { token, session, user } = await logIn(service, request, { address, signal }, progress);
    exchange.known = { ...exchange.known, token, session };
    context.status = 201;
    context.body = { token, expiresAt: new Date(session.until), user };
  } finally {
    exchange.known = { ...exchange.known, device: request.device, ...progress };
  }
}

async function current(exchange: Exchange, token: string): Promise<CurrentSession> {
  const found = await currentSession(exchange.service, token, digestOf(token), exchange.signal);
  exchange.known = { ...exchange.known, session: found.session };
  return found;
}

async function showSession(exchange: Exchange, token: string): Promise<void> {
  const { session, user, digest } = await current(exchange, token);
  exchange.context.body = { ...describe(session, digest), user };
}

async function showSessions(exchange: Exchange, token: string): Promise<void> {
  const own = await current(exchange, token);
  const all = await listOwn(exchange.service, own, exchange.signal);
  exchange.context.body = {
    sessions: all.map(({ session, digest, lastUsedAt }) => {
      return { ...describe(session, digest), lastUsedAt, current: digest === own.digest };
    }),
  };
}

/** The digits by which `token list` and `revoke --digest` know a token. */
const shortDigest = 12;

function describe({ cluster, device, since, until }: CurrentSession['session'], digest: string): object {
  const [at, expiresAt] = [new Date(since), new Date(until)];
  return { id: digest.slice(0, shortDigest), cluster, device, since: at, expiresAt };
}

async function endSession(exchange: Exchange, token: string): Promise<void> {
  const { session, wasInForce } = await logOut(exchange.service, token, exchange.signal);
  exchange.known = { ...exchange.known, session, ended: wasInForce ? 1 : 0 };
  exchange.context.status = 204;
}

async function endSessions(exchange: Exchange, token: string): Promise<void> {
  const { session, count } = await logOutEverywhere(exchange.service, token, exchange.signal);
  exchange.known = { ...exchange.known, session, ended: count };
  exchange.context.body = { ended: count };
}

async function showClusters({ context, service }: Exchange): Promise<void> {
  context.body = { clusters: Object.keys(service.config.clusters).map((name) => ({ name })) };
}

async function showKubeconfig({ context, service }: Exchange): Promise<void> {
  const { name } = context.params as { readonly name: string };
  const text = service.kubeconfig(name);
  if (text === undefined) throw new LoginError(404, 'unknown-cluster', 'there is no such cluster: see /v1/clusters');
  context.type = 'application/yaml';
  context.body = text;
}
