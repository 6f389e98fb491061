import { randomUUID } from 'node:crypto';
import Router from '@koa/router';
import type { Decision, Logger } from '@sallyport/authenticator';
import Koa, { type Context } from 'koa';
import type { Answer, ChainContext } from '../chain/answer.ts';
import { ChainError } from '../chain/chain-error.ts';
import type { ServerConfig } from '../config/types.ts';
import { asError } from '../logging/error-fields.ts';
import { inSpan } from '../tracing/in-span.ts';
import { answerErrors } from './answer-errors.ts';
import { createArrivingBodies } from './arriving-bodies.ts';
import { type Caller, watchCaller } from './caller.ts';
import type { InFlight } from './in-flight.ts';
import type { ServerRequest } from './protocol.ts';
import { createBodyReader } from './read-body.ts';
import { createReviewReporter, type OnReview, type ReviewReport } from './review-report.ts';
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
  readonly onReview?: OnReview;
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
  const { settings, inFlight, logger, onReview } = dependencies;
  const now = () => performance.now();
  const readBody = createBodyReader(() => settings().maxBodySize, bodyTimeout, createArrivingBodies());
  const report = createReviewReporter(logger, now, onReview);

  return traced(async (context) => {
    const start = now();
    const caller = watchCaller(context.res);
    const at = Date.now();
    const read: { request?: TokenReviewRequest } = {};
    const answers: Answer[] = [];
    const answer = async (): Promise<ReviewResult> => {
      const body = await readBody(context);
      // Only now that the body is there: clients that send slowly must not use up maxInFlight.
      const leave = inFlight.enter(settings().maxInFlight);
      if (leave === undefined) throw new StatusError(429, 'too many reviews under way (server.maxInFlight)');
      try {
        read.request = parseTokenReview(body);
        const result = await decide(read.request, caller, dependencies, (one) => answers.push(one));
        context.body = toTokenReview(read.request.apiVersion, result);
        return result;
      } finally {
        leave();
      }
    };
    const end = await answer().catch(asError);
    const { apiVersion: version, token } = read.request ?? {};
    const seconds = (now() - start) / 1000;
    const { client } = context.state as { readonly client?: string };
    const asked = { id: randomUUID(), at, seconds, version, token, ...(client !== undefined && { client }) };
    return report({ ...asked, end, answers, callerGone: caller.gone });
  });
}

/** Each review in a span, which goes on with the trace of its caller. */
function traced(review: (context: Context) => Promise<ReviewReport>): (context: Context) => Promise<void> {
  return async (context) => {
    const { end } = await inSpan('token review', { kind: 'server', headers: context.headers }, async (span) => {
      const report = await review(context);
      const { id, outcome, version } = report;
      span.set({ 'sallyport.review': id, 'sallyport.outcome': outcome, 'sallyport.version': version });
      // Whoever asks for nonsense, or too much, is no fault of ours.
      if (outcome === 'error') span.fail(outcome);
      return report;
    });
    if (end instanceof Error) throw end;
  };
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
