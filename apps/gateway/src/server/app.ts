import { randomUUID } from 'node:crypto';
import Router from '@koa/router';
import type { Decision, Logger } from '@sallyport/authenticator';
import Koa, { type Context } from 'koa';
import { type Answer, type ChainContext, ChainError } from '../chain/chain.ts';
import type { ServerConfig } from '../config/types.ts';
import { asError } from '../logging/error-fields.ts';
import { inSpan } from '../tracing/in-span.ts';
import { answerErrors } from './answer-errors.ts';
import { createArrivingBodies } from './arriving-bodies.ts';
import { type Caller, watchCaller } from './caller.ts';
import type { InFlight } from './in-flight.ts';
import type { ServerRequest } from './protocol.ts';
import { createBodyReader } from './read-body.ts';
import { createReviewReporter, type OnReview } from './review-report.ts';
import { StatusError } from './status.ts';
import {
  isCheckable,
  parseTokenReview,
  type ReviewResult,
  type TokenReviewRequest,
  toTokenReview,
} from './token-review.ts';
import { refuseUnmatched } from './unmatched.ts';

/** What answers reviews. */
export interface ReviewDependencies {
  /** Asked at each request, so that a changed config takes effect. */
  readonly settings: () => ServerConfig;
  /** The chain. It rejects promptly once the signal aborts, with a ChainError when the token could not be checked. */
  readonly authenticate: (token: string, context: ChainContext) => Promise<Decision>;
  readonly inFlight: InFlight;
  readonly logger: Logger;
  /** Called with each review, in this order. */
  readonly observers: readonly OnReview[];
}

/** What the connections have to say in each request. */
export interface ConnectionGate {
  /**
   * @returns the subject of the client's certificate; undefined when nobody is asked for one
   * @throws StatusError for a client that may not ask
   */
  admit(request: ServerRequest): string | undefined;
  /** Whether the answer is to announce the end of its connection. */
  isLastAnswer(request: ServerRequest): boolean;
}

/**
 * The Koa app behind `POST /authenticate`: the whole way of a request, from the outside in.
 *
 * @param bodyTimeout milliseconds for a body to arrive, and again to end when it is refused before that
 */
export function createReviewApp(dependencies: ReviewDependencies, bodyTimeout: number, gate?: ConnectionGate): Koa {
  const { logger } = dependencies;
  const router = new Router({ strict: true, sensitive: true });
  router.post('/authenticate', createReviewHandler(dependencies, bodyTimeout));

  const app = new Koa();
  app.use(async (context, next) => {
    await next();
    if (gate?.isLastAnswer(context.req)) context.set('Connection', 'close');
  });
  app.use(answerErrors(logger, bodyTimeout));
  app.use(async (context, next) => {
    context.state.client = gate?.admit(context.req);
    await next();
  });
  app.use(router.routes());
  app.use(refuseUnmatched('POST'));
  // Only what fails after an answer began, such as a caller that has gone, still arrives here.
  app.on('error', (error: Error) => logger.debug({ type: error.name }, 'an answer was not delivered'));
  return app;
}

function createReviewHandler(
  dependencies: ReviewDependencies,
  bodyTimeout: number,
): (context: Context) => Promise<void> {
  const { settings, inFlight, logger, observers } = dependencies;
  const now = () => performance.now();
  const readBody = createBodyReader(() => settings().maxBodySize, bodyTimeout, createArrivingBodies());
  const report = createReviewReporter(observers, logger);

  const answer = async (context: Context, caller: Caller, review: UnderReview): Promise<ReviewResult> => {
    const body = await readBody(context);
    // Only now that the body is there: clients that send slowly must not use up maxInFlight.
    const leave = inFlight.enter(settings().maxInFlight);
    if (leave === undefined) throw new StatusError(429, 'too many reviews under way (server.maxInFlight)');
    try {
      review.request = parseTokenReview(body);
      const result = await decide(review.request, caller, dependencies, (one) => review.answers.push(one));
      context.body = toTokenReview(review.request.apiVersion, result);
      return result;
    } finally {
      leave();
    }
  };

  return async (context) => {
    // The span goes on with the trace of the caller.
    const end = await inSpan('token review', { kind: 'server', headers: context.headers }, async (span) => {
      const start = now();
      const caller = watchCaller(context.res);
      const at = Date.now();
      const review: UnderReview = { answers: [] };
      const end = await answer(context, caller, review).catch(asError);
      const { apiVersion: version, token } = review.request ?? {};
      const seconds = (now() - start) / 1000;
      const { client } = context.state as { readonly client?: string };
      const asked = { id: randomUUID(), at, seconds, version, token, ...(client !== undefined && { client }) };
      const { id, outcome, ...reported } = report({ ...asked, end, answers: review.answers, callerGone: caller.gone });
      span.set({ 'sallyport.review': id, 'sallyport.outcome': outcome, 'sallyport.version': reported.version });
      if (outcome === 'error') span.fail(outcome);
      return end;
    });
    // Outside of the span: a request that asks for nonsense, or for too much, is no failure of ours.
    if (end instanceof Error) throw end;
  };
}

/** What is known of a review so far. */
interface UnderReview {
  request?: TokenReviewRequest;
  readonly answers: Answer[];
}

async function decide(
  { token, audiences }: TokenReviewRequest,
  caller: Caller,
  { settings, authenticate }: ReviewDependencies,
  onAnswer: (answer: Answer) => void,
): Promise<ReviewResult> {
  const { reviewTimeout, maxTokenSize } = settings();
  if (!isCheckable(token, maxTokenSize)) return { kind: 'no-opinion' };
  try {
    return await caller.within(reviewTimeout, (signal) => authenticate(token, { audiences, signal, onAnswer }));
  } catch (error) {
    if (!(error instanceof ChainError)) throw error;
    return { kind: 'error', message: error.message, authenticators: error.authenticators };
  }
}
