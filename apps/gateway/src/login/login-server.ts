import type { Logger } from '@sallyport/authenticator';
import Koa, { type Context, type Middleware } from 'koa';
import { createLimitedLog } from '../base/logging/log-limiter.ts';
import { inSpan } from '../base/tracing/in-span.ts';
import type { LoginConfig } from '../config/types.ts';
import { type AnswerOf, answerErrors, discardBody } from '../http/answer-errors.ts';
import { announceEnd } from '../http/connections.ts';
import { type ConnectionAccess, startHttpListener } from '../http/http-listener.ts';
import { isClosed, type ServerRequest } from '../http/http-server.ts';
import { toStatus } from '../http/kubernetes-status.ts';
import type { ConnectionLimits, InFlightCounter } from '../http/limits.ts';
import { createFormReader } from '../http/read-body.ts';
import type { TlsMaterial } from '../http/tls.ts';
import { createReviewContext } from '../review/review-context.ts';
import { isPagePath, PageError, pageOfError, wantsPage } from './browser/page-error.ts';
import { createDoor, isCutOff, readAddress } from './door.ts';
import {
  arrivingBodies,
  discardTimeout,
  handshakeLimits,
  loginConnectionLimits,
  loginRate,
  maxBodyBytes,
  maxConnectionAge,
  pageRate,
  passwordRate,
  requestRate,
} from './limits.ts';
import { createUnavailableError, errorBody, LoginError, toAnswer, tooMany } from './login-error.ts';
import {
  type AnsweredRequest,
  beginFacts,
  createRequestLogs,
  findOutcome,
  type LoginAction,
  type LoginOutcome,
  type OnLogin,
  reportRequest,
} from './login-facts.ts';
import type { LoginRequest } from './login-request.ts';
import type { LoginService } from './login-service.ts';
import { defaultBrand } from './pages/document.ts';
import { createAddressLimit, createRateLimit, type RateLimit } from './rate-limit.ts';
import { createLoginRouter } from './routes.ts';

interface LoginServerOptions {
  /** The config at the start: another address needs a restart. */
  readonly config: LoginConfig;
  readonly tls: TlsMaterial | undefined;
  readonly limits?: Partial<ConnectionLimits> | undefined;
  /**
   * The service of the config in force, read at each request. It is undefined once the config has no login server any
   * more.
   */
  readonly service: () => LoginService | undefined;
  readonly inFlight: InFlightCounter;
  readonly logger: Logger;
  /** They are called with each request, in this order. */
  readonly observers: readonly OnLogin[];
}

/** The server at which people log in. */
export type LoginServer = Awaited<ReturnType<typeof startLoginServer>>;

/**
 * Listens on `login.listen`. Anyone may connect, so each connection stays a new one: one too many closes the oldest of
 * the address that has the most.
 *
 * @throws Error naming the address and how to fix it
 */
export async function startLoginServer(options: LoginServerOptions) {
  const { config, tls, limits, logger } = options;
  const listener = await startHttpListener({
    address: config.listen,
    setting: 'login.listen',
    tls,
    limits: { ...loginConnectionLimits, ...limits },
    maxConnectionAge: () => maxConnectionAge,
    logger,
    handshakeLimits,
    createApp: (connections, { bodyTimeout }) => createLoginApp(options, connections, bodyTimeout),
    unreadableBody: errorBody,
  });
  /** Sets TLS for new connections. @throws Error if the certificate and key do not fit; what was in force stays */
  const updateTls = (material: TlsMaterial): void => listener.setTls(material, false);
  return { ...listener, updateTls };
}

/** Creates the Koa app of the login server: the whole path of a request, from the outside in. */
function createLoginApp(
  options: LoginServerOptions,
  { isLastAnswer }: ConnectionAccess,
  bodyTimeout: number,
) {
  const { service, inFlight, logger } = options;
  const now = () => performance.now();
  const config = () => service()?.config;
  const passwords = createAddressLimit(() => passwordRate(config()), now);
  const requests = createAddressLimit(() => requestRate(config()), now);
  const logouts = createAddressLimit(() => requestRate(config()), now);
  const logins = createRateLimit(() => loginRate(config()), now);
  const pages = createAddressLimit(() => pageRate(config()), now);
  const perRequest = {
    limits: { inFlight, passwords, logins, pages },
    readForm: createFormReader(maxBodyBytes, bodyTimeout, arrivingBodies),
  };
  const router = createLoginRouter(bodyTimeout);
  const report = createReport(options);
  const app = new Koa();
  app.use(announceEnd(isLastAnswer));
  const headers = () => secureHeaders(config());
  app.use((context, next) => {
    context.set(headers());
    return next();
  });
  const answer: AnswerOf = (error, request) => {
    if (!wantsPage(request)) return toAnswer(error);
    const brand = service()?.brand() ?? defaultBrand;
    return pageOfError(error, { publicUrl: config()?.publicUrl ?? '', brand });
  };
  app.use(answerErrors(logger, discardTimeout, answer));
  app.use(refuseReviews(logger));
  app.use(reportRequests(options, perRequest, { requests, logouts }, report, answer));
  app.use(router.routes());
  app.use(refuseOthers(router));
  app.on('error', (error: Error) => logger.debug({ type: error.name }, 'answer not delivered'));
  const door = {
    proxies: () => service()?.proxies,
    headers,
    refusal: (request: ServerRequest) =>
      answer(tooMany('too many concurrent requests from this address', 1), request),
    report,
    discardTimeout,
    now,
  };
  return { callback: () => createDoor(app.callback(), door) };
}

/**
 * Refuses token reviews, which a webhook kubeconfig with the port of `login.listen` sends. The answer is a v1 `Status`, whose message is
 * in kube-apiserver's log.
 */
function refuseReviews(logger: Logger): Middleware {
  const warn = createLimitedLog(logger, () => performance.now(), 'warn');
  const message = 'token reviews go to server.listen, not to login.listen';
  return async (context, next) => {
    if (context.method !== 'POST' || !['/', '/authenticate'].includes(context.path)) {
      await next();
      return;
    }
    warn('token review', { peer: readAddress(context.req) }, message);
    context.status = 404;
    context.body = toStatus(404, `not found: ${message}`);
    discardBody(context, 404, discardTimeout);
  };
}

/** Follows the router, and refuses requests whose path (404) or method (405) it does not have. */
function refuseOthers(router: ReturnType<typeof createLoginRouter>): Middleware {
  return (context) => {
    const { path } = router.match(context.path, context.method);
    const methods = [...new Set(path.flatMap((layer) => layer.methods))].filter(
      (method) => method !== 'HEAD',
    );
    if (methods.length === 0) {
      const message =
        'there is no such request: docs/login-api.md lists them, such as POST /v1/sessions to log in; metrics and health are at admin.listen';
      throw new LoginError(404, 'not-found', message);
    }
    context.set('Allow', methods.join(', '));
    const message = `the method must be ${methods.join(' or ')}: a login is POST /v1/sessions`;
    throw new LoginError(405, 'method-not-allowed', message);
  };
}

/** Makes the headers of every answer that is not a page: no browser may keep or show one. */
function secureHeaders(config: LoginConfig | undefined): Record<string, string> {
  return {
    'Cache-Control': 'no-store',
    'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
    ...(config?.publicUrl.startsWith('https:') && {
      'Strict-Transport-Security': 'max-age=31536000',
    }),
  };
}

/** Reports each request to every observer, in their order. */
function createReport({
  logger,
  observers,
}: LoginServerOptions): (request: AnsweredRequest) => void {
  return (facts) => {
    const report = reportRequest(facts);
    for (const observe of observers) {
      try {
        observe(report);
      } catch (error) {
        logger.error({ err: error }, 'a request to the login server could not be recorded');
      }
    }
  };
}

/**
 * Checks what holds for all requests, and reports each one, whatever becomes of it.
 *
 * @param limits logouts have a limit of their own, so that a user who shares an address with others can end a session
 */
function reportRequests(
  { service, logger }: LoginServerOptions,
  perRequest: Pick<LoginRequest, 'limits' | 'readForm'>,
  limits: Readonly<Record<'requests' | 'logouts', RateLimit>>,
  report: (request: AnsweredRequest) => void,
  answer: AnswerOf,
): Middleware {
  const logOf = createRequestLogs(logger, () => performance.now());
  return async (context, next) => {
    const loginService = service();
    if (loginService === undefined) throw createUnavailableError('the login server');
    const current = { ...loginService, logger: logOf(() => isClosed(context.res)) };
    const [start, startedAt] = [performance.now(), Date.now()];
    const address = readAddress(context.req);
    const review = createReviewContext(context.res, current.timeout, []);
    const facts = beginFacts();
    context.state.request = {
      context,
      service: current,
      address,
      signal: review.signal,
      facts,
      ...perRequest,
    } satisfies LoginRequest;
    const turn = (context.method === 'DELETE' ? limits.logouts : limits.requests).take(address);
    const end = (status: number) => {
      const outcome = findOutcome(status, isClosed(context.res), facts.reason);
      if (typeof turn === 'function' && !isCounted(facts.action, outcome)) turn();
      const isLimited = isCutOff(context.req) && (outcome === 'gone' || outcome === 'invalid');
      const seconds = (performance.now() - start) / 1000;
      report({
        ...facts,
        address,
        at: startedAt,
        seconds,
        outcome: isLimited ? 'limited' : outcome,
      });
    };
    try {
      if (typeof turn === 'number') throw tooMany('too many requests from this address', turn);
      requireOwnHost(context, current.config);
      // The span joins no trace of a client: anyone could have their trace recorded.
      const work = inSpan('login request', { kind: 'server' }, async (span) => {
        await next().finally(() => span.set({ 'sallyport.login.action': facts.action }));
      });
      current.hold(work);
      await work;
      end(context.status);
    } catch (error) {
      if (error instanceof PageError) facts.reason = error.kind;
      end(answer(error, context.req)?.code ?? 500);
      throw error;
    } finally {
      review.end();
    }
  };
}

const alwaysCounted: ReadonlySet<LoginAction> = new Set(['begin', 'clusters', 'kubeconfig']);
const guesses: ReadonlySet<LoginAction> = new Set([
  'login',
  'page-login',
  'page-factor',
  'redeem',
  'begin-factor',
  'add-factor',
]);

/** Whether a request counts for the limit of requests. A refused login does not: it counts as a password. */
function isCounted(action: LoginAction, outcome: LoginOutcome): boolean {
  if (alwaysCounted.has(action) || outcome === 'invalid') return true;
  // An answer that logs no one in may have cost the provider a request.
  if (action === 'provider-login') return outcome !== 'ok' && outcome !== 'limited';
  return !guesses.has(action) && (outcome === 'refused' || outcome === 'gone');
}

/**
 * A page of another site can make a browser send requests here: by its own name for this address (DNS rebinding), or with
 * an `Origin`. Only our own pages send one, with their forms.
 */
function requireOwnHost({ req, path }: Context, { publicUrl }: LoginConfig): void {
  const publicAddress = new URL(publicUrl);
  const names = [req.headers.host, req.headers[':authority']].filter((name) => name !== undefined);
  const isOwn = (name: unknown) =>
    /^[\w.:[\]-]+$/.test(`${name}`) &&
    URL.parse(`${publicAddress.protocol}//${name}`)?.host === publicAddress.host;
  if (names.length === 0 || !names.every(isOwn)) {
    throw new LoginError(403, 'forbidden', 'the Host must be the host of login.publicUrl');
  }
  const { origin, 'sec-fetch-site': site = 'same-origin' } = req.headers;
  const isForm = req.method === 'POST' && isPagePath(path);
  if (isForm ? origin !== publicAddress.origin || site !== 'same-origin' : origin !== undefined)
    throw new LoginError(403, 'forbidden', 'requests of web pages are not accepted');
  if (req.url?.startsWith('/') !== true)
    throw new LoginError(400, 'bad-request', 'the request target must be a path');
}
