import { randomUUID } from 'node:crypto';
import Router from '@koa/router';
import type { Decision, Logger } from '@sallyport/authenticator';
import Koa, { type Context } from 'koa';
import { type Answer, type ChainContext, ChainError } from '../chain/chain.ts';
import type { ServerConfig } from '../config/types.ts';
import { asError } from '../logging/error-fields.ts';
import { inSpan } from '../tracing/in-span.ts';
import { answerErrors, refuseUnmatched } from './answer-errors.ts';
import type { ServerAnswer, ServerRequest } from './http-server.ts';
import type { InFlight } from './in-flight.ts';
import { StatusError } from './kubernetes-status.ts';
import { createBodyReader } from './read-body.ts';
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
  /** Whether the answer must announce the end of its connection. */
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

  async function answer(context: Context, caller: Caller, known: KnownReview): Promise<ReviewResult> {
    const body = await readBody(context);
    // The review counts only when its body is there, so that clients that send slowly can't use up maxInFlight.
    const leave = inFlight.enter(settings().maxInFlight);
    if (leave === undefined) throw new StatusError(429, 'too many token reviews in progress (server.maxInFlight)');
    try {
      known.request = parseTokenReview(body);
      const result = await decide(known.request, caller, dependencies, (one) => known.answers.push(one));
      context.body = toTokenReview(known.request.apiVersion, result);
      return result;
    } finally {
      leave();
    }
  }

  return async (context) => {
    const end = await inSpan('token review', { kind: 'server', headers: context.headers }, async (span) => {
      const start = now();
      const at = Date.now();
      const caller = watchCaller(context.res);
      const known: KnownReview = { answers: [] };
      const end = await answer(context, caller, known).catch(asError);
      const { client } = context.state as { readonly client?: string };
      const { id, outcome, version } = report({
        id: randomUUID(),
        at,
        seconds: (now() - start) / 1000,
        ...(client !== undefined && { client }),
        request: known.request,
        end,
        answers: known.answers,
        callerGone: caller.isGone(),
      });
      span.set({ 'sallyport.review': id, 'sallyport.outcome': outcome, 'sallyport.version': version });
      if (outcome === 'error') span.fail(outcome);
      return end;
    });
    // Thrown outside of the span: a request that is malformed, or one too many, is no failure of the gateway.
    if (end instanceof Error) throw end;
  };
}

/** What is known of a review so far. */
interface KnownReview {
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

/** The client that waits for one answer. */
interface Caller {
  /** Whether it closed the connection or stream before the answer was written. */
  isGone(): boolean;
  /** Runs work with a signal that aborts when the caller has gone, or after the time. */
  within<T>(milliseconds: number, work: (signal: AbortSignal) => T | Promise<T>): Promise<T>;
}

/** The answer's 'close' reports the end on both protocols. The request's 'aborted' does not, once the body was read. */
function watchCaller(answer: ServerAnswer): Caller {
  const controller = new AbortController();
  let isGone = false;
  answer.once('close', () => {
    if (answer.writableEnded) return;
    isGone = true;
    controller.abort(new Error('the caller has gone'));
  });
  return {
    isGone: () => isGone,
    async within(milliseconds, work) {
      const timer = setTimeout(() => controller.abort(new Error('the review took too long')), milliseconds);
      try {
        return await work(controller.signal);
      } finally {
        clearTimeout(timer);
      }
    },
  };
}
