import type { Logger } from '@sallyport/authenticator';
import { StatusError } from '../http/kubernetes-status.ts';
import type { AccessResult, AccessReviewRequest } from './subject-access-review.ts';

/**
 * The `outcome` label of the metrics of access reviews. `too-large` was denied. `unknown-list` was answered with 503, because the revocation
 * list was not read recently; `invalid` with a 4xx; `overloaded` with 503, because too many are in progress. `error` is a bug.
 */
export type AccessOutcome =
  | 'no-opinion'
  | 'denied'
  | 'too-large'
  | 'unknown-list'
  | 'invalid'
  | 'overloaded'
  | 'error';

/** The report of one access review. */
export interface AccessReport {
  /** The id of the review in the log and the audit trail. It is random. */
  readonly id: string;
  /** When the review came: wall clock, milliseconds since 1970. */
  readonly at: number;
  readonly seconds: number;
  /** The subject of the caller's certificate. It is undefined if client certificates are not required. */
  readonly client: string | undefined;
  /** The API version. It is undefined if no review could be read. */
  readonly version: 'v1' | 'v1beta1' | undefined;
  readonly outcome: AccessOutcome;
  /** It is undefined if no review could be read. */
  readonly request: AccessReviewRequest | undefined;
  /** The result, or what was thrown. */
  readonly result: AccessResult | Error;
}

/** Logs, counts or records an access review. It is called once for each, right before its answer is sent. */
export type OnAccessReview = (report: AccessReport) => void;

type EndedAccessReview = Omit<AccessReport, 'version' | 'outcome'>;

/** Reports each access review to every observer, in their order. */
export function createAccessReporter(observers: readonly OnAccessReview[], logger: Logger) {
  return ({
    id,
    at: startedAt,
    seconds,
    client,
    request,
    result,
  }: EndedAccessReview): AccessReport => {
    const version =
      request && (request.apiVersion === 'authorization.k8s.io/v1' ? 'v1' : 'v1beta1');
    const outcome = describeOutcome(result);
    const report: AccessReport = {
      id,
      at: startedAt,
      seconds,
      client,
      version,
      outcome,
      request,
      result,
    };
    for (const observe of observers) {
      try {
        observe(report);
      } catch (error) {
        // A review that can't be recorded is a bug of ours, and no reason to change its answer.
        logger.error({ err: error, review: id }, 'access review could not be recorded');
      }
    }
    return report;
  };
}

function describeOutcome(result: AccessResult | Error): AccessOutcome {
  if (result instanceof StatusError) return result.code === 503 ? 'overloaded' : 'invalid';
  if (result instanceof Error) return 'error';
  if (result.kind === 'unknown') return 'unknown-list';
  return result.kind === 'blocked' || result.kind === 'ended' ? 'denied' : result.kind;
}
