import { randomUUID } from 'node:crypto';
import Router from '@koa/router';
import type { Decision, Logger } from '@sallyport/authenticator';
import Koa, { type Context, type Middleware } from 'koa';
import { type ChainContext, ChainError } from '../chain/chain.ts';
import type { ServerConfig } from '../config/types.ts';
import { asError } from '../logging/error-fields.ts';
import { inSpan, type Span } from '../tracing/in-span.ts';
import { answerErrors, refuseUnmatched } from './answer-errors.ts';
import { http2Stream, isClosed, type ServerRequest } from './http-server.ts';
import type { InFlight } from './in-flight.ts';
import { StatusError } from './kubernetes-status.ts';
import { createBodyReader } from './read-body.ts';
import { createReviewContext, hopsOf, type ReviewContext } from './review-context.ts';
import { createReviewReporter, type OnReview } from './review-report.ts';
import {
  isCheckable,
  parseTokenReview,
  type ReviewResult,
  type TokenReviewRequest,
  toTokenReview,
} from './token-review.ts';

export interface ReviewDependencies {
  /** Read at each request, so that a changed config takes effect. */
  readonly settings: () => ServerConfig;
  /** The chain. It rejects promptly when the signal aborts, and with a ChainError if the token could not be checked. */
  readonly authenticate: (token: string, context: ChainContext) => Decision | Promise<Decision>;
  readonly inFlight: InFlight;
  readonly logger: Logger;
  /** Called with each review, in this order. */
  readonly observers: readonly OnReview[];
}

/** What each request asks of its connection. */
export interface ConnectionGate {
  /**
   * @returns the subject of the client's certificate; undefined if client certificates are not required
   * @throws StatusError for a client that is not allowed
   */
  admit(request: ServerRequest): string | undefined;
  /** Whether an answer over HTTP/1.1 must announce the end of its connection. */
  isLastAnswer(request: ServerRequest): boolean;
}

/**
 * Creates the Koa app behind `POST /authenticate`: the whole path of a request, from the outside in.
 *
 * @param bodyTimeout milliseconds for a body to arrive, and again to end if it is refused before that
 */
export function createReviewApp(dependencies: ReviewDependencies, bodyTimeout: number, gate?: ConnectionGate): Koa {
  const { logger } = dependencies;
  const router = new Router({ strict: true, sensitive: true });
  router.post('/authenticate', createReviewHandler(dependencies, bodyTimeout));

  const announceEnd: Middleware = async (context, next) => {
    await next();
    if (gate?.isLastAnswer(context.req)) context.set('Connection', 'close');
  };
  const app = new Koa();
  app.use((context, next) => (http2Stream(context.req) === undefined ? announceEnd(context, next) : next()));
  app.use(answerErrors(logger, bodyTimeout));
  app.use((context, next) => {
    context.state.client = gate?.admit(context.req);
    return next();
  });
  app.use(router.routes());
  app.use(refuseUnmatched('POST'));
  // Only what fails after an answer has begun still arrives here, for example a caller that has gone.
  app.on('error', (error: Error) => logger.debug({ type: error.name }, 'answer not delivered'));
  return app;
}

function createReviewHandler(
  dependencies: ReviewDependencies,
  bodyTimeout: number,
): (context: Context) => Promise<void> {
  const { settings, inFlight, logger, observers } = dependencies;
  const now = () => performance.now();
  const readBody = createBodyReader(() => settings().maxBodySize, bodyTimeout);
  const report = createReviewReporter(observers, logger);

  async function answer(context: Context, known: KnownReview): Promise<ReviewResult | Error> {
    let leave: (() => void) | undefined;
    try {
      const body = await readBody(context);
      // The review counts only when its body is there, so that clients that send slowly can't use up maxInFlight.
      leave = inFlight.enter(settings().maxInFlight);
      if (leave === undefined) throw new StatusError(429, 'too many token reviews in progress (server.maxInFlight)');
      const request = parseTokenReview(body);
      known.request = request;
      const decided = decide(request, known, context, dependencies);
      const result = decided instanceof Promise ? await decided : decided;
      context.res.setHeader('Content-Type', 'application/json; charset=utf-8');
      context.body = JSON.stringify(toTokenReview(request.apiVersion, result));
      return result;
    } catch (error) {
      return asError(error);
    } finally {
      known.context?.end();
      leave?.();
    }
  }

  async function review(context: Context, span: Span): Promise<ReviewResult | Error> {
    const start = now();
    const at = Date.now();
    const known: KnownReview = { request: undefined, context: undefined };
    const end = await answer(context, known);
    const { id, outcome, version } = report({
      id: randomUUID(),
      at,
      seconds: (now() - start) / 1000,
      client: (context.state as { readonly client?: string }).client,
      request: known.request,
      end,
      answers: known.context?.answers ?? [],
      callerGone: isClosed(context.res),
    });
    span.set({ 'sallyport.review': id, 'sallyport.outcome': outcome, 'sallyport.version': version });
    if (outcome === 'error') span.fail(outcome);
    return end;
  }

  return (context) => {
    const { headers } = context.req;
    return inSpan('token review', { kind: 'server', headers }, (span) => review(context, span)).then(throwError);
  };
}

/** Outside of the span: a request that is malformed, or one too many, is no failure of the gateway. */
function throwError(end: ReviewResult | Error): void {
  if (end instanceof Error) throw end;
}

/** What is known of a review so far. */
interface KnownReview {
  request: TokenReviewRequest | undefined;
  context: ReviewContext | undefined;
}

function decide(
  { token, audiences }: TokenReviewRequest,
  known: KnownReview,
  { req, res }: Context,
  { settings, authenticate }: ReviewDependencies,
): ReviewResult | Promise<ReviewResult> {
  const { reviewTimeout, maxTokenSize } = settings();
  if (!isCheckable(token, maxTokenSize)) return { kind: 'no-opinion' };
  const context = createReviewContext(res, reviewTimeout, audiences, hopsOf(req.headers['sallyport-hops']));
  known.context = context;
  const decision = authenticate(token, context);
  return decision instanceof Promise ? decision.catch(unchecked) : decision;
}

/** @throws what is no ChainError */
function unchecked(error: unknown): ReviewResult {
  if (!(error instanceof ChainError)) throw error;
  return { kind: 'error', message: error.message, authenticators: error.authenticators };
}
