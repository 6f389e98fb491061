import { randomUUID } from 'node:crypto';
import type { Logger } from '@sallyport/authenticator';
import type { Context } from 'koa';
import { asError } from '../base/logging/error-fields.ts';
import { inSpan, type Span } from '../base/tracing/in-span.ts';
import type { ServerConfig } from '../config/types.ts';
import type { AccessDecision, AccessSubject } from '../engine/revocation/access-denial.ts';
import type { WaitForTurn } from '../http/kind-turns.ts';
import { StatusError } from '../http/kubernetes-status.ts';
import type { InFlightCounter } from '../http/limits.ts';
import { createTextReader } from '../http/read-body.ts';
import { createAccessReporter, type OnAccessReview } from './access-report.ts';
import {
  type AccessApiVersion,
  type AccessResult,
  type AccessReviewRequest,
  parseAccessReview,
  writeAccessAnswer,
} from './subject-access-review.ts';

export interface AccessReviews {
  /** Decides without any I/O. */
  readonly decide: (subject: AccessSubject) => AccessDecision;
  /** Access reviews have a count of their own: neither kind of review can use up `server.maxInFlight` of the other. */
  readonly inFlight: InFlightCounter;
  /** They are called with each access review, in this order. */
  readonly observers: readonly OnAccessReview[];
}

export interface AccessReviewOptions extends AccessReviews {
  readonly settings: () => ServerConfig;
  readonly waitForTurn: WaitForTurn<'access'>;
  /** Milliseconds for a body to arrive. */
  readonly bodyTimeout: number;
  /** Called when `server.authorize` is off. It throws. */
  readonly refuse: (context: Context) => never;
  readonly logger: Logger;
}

/** Creates the handler of `POST /authorize`. */
export function createAccessReviewHandler({
  settings,
  waitForTurn,
  bodyTimeout,
  refuse,
  logger,
  ...reviews
}: AccessReviewOptions): (context: Context) => Promise<void> {
  const { decide, inFlight, observers } = reviews;
  const readText = createTextReader(() => settings().maxBodySize, bodyTimeout);
  const report = createAccessReporter(observers, logger);
  /** The version in which kube-apiserver asked last: a body that is too large does not say. */
  let lastVersion: AccessApiVersion = 'authorization.k8s.io/v1';

  async function review(context: Context, span: Span) {
    const start = performance.now();
    const startedAt = Date.now();
    let request: AccessReviewRequest | undefined;
    let leave: (() => void) | undefined;
    let result: AccessResult | Error;
    try {
      const body = await readText(context);
      leave = inFlight.enter(settings().maxInFlight);
      if (leave === undefined)
        throw new StatusError(503, 'too many access reviews in progress (server.maxInFlight)');
      await waitForTurn('access');
      request = parseAccessReview(body);
      lastVersion = request.apiVersion;
      result = decide(request.subject);
    } catch (error) {
      result = toResult(asError(error));
    } finally {
      leave?.();
    }
    const { client } = context.state as { readonly client?: string };
    const seconds = (performance.now() - start) / 1000;
    const id = randomUUID();
    const { outcome, version } = report({ id, at: startedAt, seconds, client, request, result });
    span.set({
      'sallyport.review': id,
      'sallyport.outcome': outcome,
      'sallyport.version': version,
    });
    if (outcome === 'error' || outcome === 'unknown-list') span.fail(outcome);
    return { apiVersion: request?.apiVersion ?? lastVersion, result };
  }

  return async (context) => {
    if (!settings().authorize) refuse(context);
    const { headers } = context.req;
    const { apiVersion, result } = await inSpan(
      'access review',
      { kind: 'server', headers },
      (span) => review(context, span),
    );
    if (result instanceof Error) throw result;
    context.set('Content-Type', 'application/json; charset=utf-8');
    context.body = writeAccessAnswer(apiVersion, result);
  };
}

/**
 * Denies a body that is too large. With an error, kube-apiserver would ask its next authorizer, and a blocked user can make their requests
 * large. Of an overload, it must not be told 429, which it retries five times.
 */
function toResult(error: Error): AccessResult | Error {
  if (!(error instanceof StatusError)) return error;
  if (error.code === 413) return { kind: 'too-large' };
  return error.code === 429 ? new StatusError(503, error.message) : error;
}
