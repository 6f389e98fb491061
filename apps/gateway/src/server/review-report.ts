import type { Logger } from '@sallyport/authenticator';
import type { Source } from '../cache/types.ts';
import { StatusError } from './status.ts';
import type { ReviewResult, TokenReviewVersion } from './token-review.ts';

/** The `outcome` label of the review metrics. `invalid`: answered with a 4xx; `error`: could not be checked, or a bug. */
export type ReviewOutcome = 'authenticated' | 'rejected' | 'unknown' | 'error' | 'invalid' | 'overloaded';

/** What there is to tell of one review. */
export interface ReviewReport {
  /** Of this process; the same in each log line about the review. */
  readonly id: string;
  readonly seconds: number;
  /** Undefined when none could be read. */
  readonly version: TokenReviewVersion | undefined;
  /** How it ended, or what was thrown. */
  readonly end: ReviewResult | Error;
  /** Where the answer that decided came from; undefined: from a backend. */
  readonly source: Source | undefined;
  /** The caller did not wait for the answer. */
  readonly callerGone: boolean;
}

/** Called once a review: the metrics' place to count. */
export type OnReview = (outcome: ReviewOutcome, seconds: number, version?: 'v1' | 'v1beta1') => void;

/** An overload refuses thousands a second: one line in this many milliseconds says so. */
const overloadLogInterval = 10_000;

/**
 * Writes one log line for each review, never with the token: `debug` for the answers of every day, `info` for
 * refusals, `warn` for what an operator should mend.
 *
 * @param now monotonic milliseconds
 */
export function createReviewReporter(
  logger: Logger,
  now: () => number,
  onReview?: OnReview,
): (report: ReviewReport) => void {
  let overloadLogged = Number.NEGATIVE_INFINITY;
  const levelOf = (outcome: ReviewOutcome, report: ReviewReport): 'debug' | 'info' | 'warn' => {
    if (report.callerGone || outcome === 'authenticated' || outcome === 'unknown') return 'debug';
    if (outcome === 'rejected') return 'info';
    if (outcome !== 'overloaded') return 'warn';
    if (now() - overloadLogged < overloadLogInterval) return 'debug';
    overloadLogged = now();
    return 'warn';
  };
  return (report) => {
    const outcome = outcomeOf(report.end);
    const { id, seconds, callerGone, source } = report;
    const version = report.version && (report.version === 'authentication.k8s.io/v1' ? 'v1' : 'v1beta1');
    const gone = callerGone ? { callerGone } : {};
    const cached = source === undefined ? {} : { cached: source };
    logger[levelOf(outcome, report)](
      { review: id, outcome, version, ...detail(report.end), ...cached, ...gone, seconds },
      'token review',
    );
    onReview?.(outcome, seconds, version);
  };
}

function outcomeOf(end: ReviewResult | Error): ReviewOutcome {
  if (end instanceof StatusError) return end.code === 429 ? 'overloaded' : 'invalid';
  if (end instanceof Error) return 'error';
  return end.kind === 'no-opinion' ? 'unknown' : end.kind;
}

function detail(end: ReviewResult | Error): object {
  // The messages of our own refusals only: any other error may quote what it met, and is logged by its place.
  if (end instanceof Error) return end instanceof StatusError ? { reason: end.message } : {};
  if (end.kind === 'authenticated') return { username: end.user.username };
  if (end.kind === 'rejected')
    return { reason: end.reason, ...(end.subject !== undefined && { subject: end.subject }) };
  return end.kind === 'error' ? { reason: end.message, authenticators: end.authenticators } : {};
}
