import { randomUUID } from 'node:crypto';
import Router from '@koa/router';
import type { Decision, Logger } from '@sallyport/authenticator';
import Koa, { type Context } from 'koa';
import { asError } from '../base/logging/error-fields.ts';
import { createLimitedLog } from '../base/logging/log-limiter.ts';
import { printable } from '../base/logging/printable.ts';
import { inSpan, type Span } from '../base/tracing/in-span.ts';
import type { ServerConfig } from '../config/types.ts';
import { isPending } from '../engine/chain/answer.ts';
import { type ChainContext, ChainError } from '../engine/chain/chain.ts';
import { answerErrors, refuseUnmatched } from '../http/answer-errors.ts';
import { announceEnd } from '../http/connections.ts';
import { type ConnectionAccess, startHttpListener } from '../http/http-listener.ts';
import { isClosed } from '../http/http-server.ts';
import { createKindTurns, type WaitForTurn } from '../http/kind-turns.ts';
import { StatusError } from '../http/kubernetes-status.ts';
import type { ConnectionLimits, InFlightCounter } from '../http/limits.ts';
import { createBodyReader } from '../http/read-body.ts';
import type { TlsMaterial } from '../http/tls.ts';
import { type AccessReviews, createAccessReviewHandler } from './access-review.ts';
import { type ClientCheck, createClientCheck } from './client-certificate.ts';
import { createReviewContext, type ReviewContext, readHops } from './review-context.ts';
import { createReviewReporter, type OnReview } from './review-report.ts';
import { isCheckable, parseTokenReview, type ReviewResult, toTokenReview } from './token-review.ts';

interface ReviewServerOptions {
  /** The settings, read at each request, so that a changed config takes effect. */
  readonly settings: () => ServerConfig;
  /** The chain. It rejects promptly when the signal aborts, and with a ChainError if the token could not be checked. */
  readonly authenticate: (token: string, context: ChainContext) => Decision | Promise<Decision>;
  readonly inFlight: InFlightCounter;
  readonly access: AccessReviews;
  readonly logger: Logger;
  /** They are called with each review, in this order. */
  readonly observers: readonly OnReview[];
  /** TLS at the start. It is undefined for plain HTTP, which the config allows on loopback only. */
  readonly tls?: TlsMaterial;
  readonly limits?: Partial<ConnectionLimits>;
}

/** The server that kube-apiserver calls. */
export type ReviewServer = Awaited<ReturnType<typeof startReviewServer>>;

/** Listens on `server.listen`. @throws Error naming the address and how to fix it */
export async function startReviewServer(options: ReviewServerOptions) {
  const { settings, logger } = options;
  let material = options.tls;
  const clients = createClientCheck(() => material?.client?.names, logger);
  const { setTls, ...listener } = await startHttpListener({
    address: settings().listen,
    setting: 'server.listen',
    tls: material,
    limits: options.limits,
    maxConnectionAge: () => settings().maxConnectionAge,
    // As many again may still arrive, or be refused.
    neededRequests: () => 2 * settings().maxInFlight * (settings().authorize ? 2 : 1),
    logger,
    identifyRefused: clients.identifyRefused,
    createApp: (connections, { bodyTimeout }) =>
      createReviewApp(options, bodyTimeout, connections, clients),
  });
  return {
    ...listener,
    /**
     * Sets TLS for new connections. Open ones stay, unless the client CA or names changed: then they are retired, and the
     * new names apply to their very next request.
     *
     * @throws Error if the certificate and key do not fit, or the server is plain; what was in force stays
     */
    updateTls(next: TlsMaterial): void {
      if (material === undefined)
        throw new Error('server.tls: a server of plain HTTP needs a restart to use TLS');
      setTls(next, !isSameClient(material, next));
      material = next;
    },
  };
}

function isSameClient(current: TlsMaterial, renewed: TlsMaterial): boolean {
  if (current.client === undefined || renewed.client === undefined)
    return current.client === renewed.client;
  return (
    current.client.ca.equals(renewed.client.ca) &&
    current.client.names.join('\0') === renewed.client.names.join('\0')
  );
}

/** The maximum number of reviews of one kind that begin in one turn of the event loop. */
const reviewsInTurn = 8;

/**
 * Creates the Koa app behind `POST /authenticate` and `POST /authorize`: the whole path of a request, from the outside in.
 *
 * @param bodyTimeout milliseconds for a body to arrive, and again to end if it is refused before that
 */
function createReviewApp(
  options: ReviewServerOptions,
  bodyTimeout: number,
  connections: ConnectionAccess,
  clients: ClientCheck,
): Koa {
  const { logger, settings } = options;
  const waitForTurn = createKindTurns<'token' | 'access'>(reviewsInTurn);
  const logUnknownPath = createUnknownPathLog(logger);
  const router = new Router({ strict: true, sensitive: true });
  router.post('/authenticate', createReviewHandler(options, bodyTimeout, waitForTurn));
  const refuse = (context: Context): never => {
    logUnknownPath(context);
    throw new StatusError(404, 'not found: server.authorize is off at this gateway');
  };
  router.post(
    '/authorize',
    createAccessReviewHandler({
      ...options.access,
      settings,
      waitForTurn,
      bodyTimeout,
      refuse,
      logger,
    }),
  );
  const app = new Koa();
  app.use(announceEnd(connections.isLastAnswer));
  app.use(answerErrors(logger, bodyTimeout));
  app.use((context, next) => {
    context.state.client = clients.check(context.req, connections.retire);
    connections.admit(context.req);
    return next();
  });
  app.use(router.routes());
  app.use(refuseUnmatched('POST', notFound, logUnknownPath));
  // Only a failure after an answer has begun arrives here, for example that the caller has gone.
  app.on('error', (error: Error) => logger.debug({ type: error.name }, 'answer not delivered'));
  return app;
}

const notFound =
  'not found: token reviews go to POST /authenticate, and metrics and health are at admin.listen';

/** Logs requests for another path, which a wrong URL in kube-apiserver's kubeconfig causes. Its query could hold a secret. */
function createUnknownPathLog(logger: Logger): (context: Context) => void {
  const warn = createLimitedLog(logger, () => performance.now(), 'warn');
  return ({ path, req }) => {
    const fields = { peer: req.socket.remoteAddress, path: printable(path.slice(0, 100)) };
    warn('unknown path', fields, 'request path not found: token reviews go to POST /authenticate');
  };
}

function createReviewHandler(
  options: ReviewServerOptions,
  bodyTimeout: number,
  waitForTurn: WaitForTurn<'token'>,
): (context: Context) => Promise<void> {
  const { settings, authenticate, inFlight, observers, logger } = options;
  const readBody = createBodyReader(() => settings().maxBodySize, bodyTimeout);
  const report = createReviewReporter(observers, logger);

  async function review(context: Context, span: Span): Promise<ReviewResult | Error> {
    const { req, res } = context;
    const start = performance.now();
    const startedAt = Date.now();
    let request: ReturnType<typeof parseTokenReview> | undefined;
    let reviewContext: ReviewContext | undefined;
    let leave: (() => void) | undefined;
    let end: ReviewResult | Error = { kind: 'no-opinion' };
    try {
      const body = await readBody(context);
      const { authorize, maxInFlight, maxTokenSize, reviewTimeout } = settings();
      // The review counts only when its body is there, so that clients that send slowly can't use up maxInFlight.
      leave = inFlight.enter(maxInFlight);
      if (leave === undefined)
        throw new StatusError(429, 'too many token reviews in progress (server.maxInFlight)');
      if (authorize) await waitForTurn('token');
      request = parseTokenReview(body);
      if (isCheckable(request.token, maxTokenSize)) {
        reviewContext = createReviewContext(
          res,
          reviewTimeout,
          request.audiences,
          readHops(req.headers['sallyport-hops']),
        );
        const decision = authenticate(request.token, reviewContext);
        end = isPending(decision) ? await decision.catch(unchecked) : decision;
      }
      res.setHeader('Content-Type', 'application/json; charset=utf-8');
      context.body = JSON.stringify(toTokenReview(request.apiVersion, end));
    } catch (error) {
      end = asError(error);
    } finally {
      reviewContext?.end();
      leave?.();
    }
    const { id, outcome, version } = report({
      id: randomUUID(),
      at: startedAt,
      seconds: (performance.now() - start) / 1000,
      client: (context.state as { readonly client?: string }).client,
      request,
      end,
      answers: reviewContext?.answers ?? [],
      callerGone: isClosed(res),
    });
    span.set({
      'sallyport.review': id,
      'sallyport.outcome': outcome,
      'sallyport.version': version,
    });
    if (outcome === 'error') span.fail(outcome);
    return end;
  }

  return (context) => {
    const { headers } = context.req;
    return inSpan('token review', { kind: 'server', headers }, (span) =>
      review(context, span),
    ).then(throwError);
  };
}

/** Throws outside of the span: a request that is malformed, or one too many, is not a failure of the gateway. */
function throwError(end: ReviewResult | Error): void {
  if (end instanceof Error) throw end;
}

/** Makes the result of a ChainError. @throws any other error */
function unchecked(error: unknown): ReviewResult {
  if (!(error instanceof ChainError)) throw error;
  return { kind: 'error', message: error.message, authenticators: error.authenticators };
}
