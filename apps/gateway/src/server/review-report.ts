import type { Logger } from '@sallyport/authenticator';
import type { Answer, Source } from '../chain/chain.ts';
import { withoutToken } from '../logging/error-fields.ts';
import { createLogLimiter } from '../logging/log-limiter.ts';
import { StatusError } from './status.ts';
import type { ReviewResult, TokenReviewVersion } from './token-review.ts';

/** The `outcome` label of the review metrics. `invalid`: answered with a 4xx; `error`: could not be checked, or a bug. */
export type ReviewOutcome = 'authenticated' | 'rejected' | 'unknown' | 'error' | 'invalid' | 'overloaded';

/** Refused before anyone looked at a token: the cheapest to ask for, so there may be any number of them. */
export function isUnread(outcome: ReviewOutcome): boolean {
  return outcome === 'invalid' || outcome === 'overloaded';
}

/** What observers learn of one review. */
export interface ReviewReport {
  /** Of this process; the same in each log line about the review. */
  readonly id: string;
  /** When it came, wall clock milliseconds since 1970. */
  readonly at: number;
  readonly seconds: number;
  /** The subject of the caller's certificate. Left out: callers are asked for none. */
  readonly client?: string;
  /** Undefined when none could be read. */
  readonly version: 'v1' | 'v1beta1' | undefined;
  readonly outcome: ReviewOutcome;
  /** How it ended, or what was thrown. */
  readonly end: ReviewResult | Error;
  /** What each authenticator answered that was asked, in order. The last one decided, if any did. */
  readonly answers: readonly Answer[];
  /** As sent. Not to be kept beyond the observer's call, and not to be written anywhere. Undefined when none could be read. */
  readonly token: string | undefined;
  /** The caller did not wait for the answer. */
  readonly callerGone: boolean;
}

/** Called once a review, right before its answer is sent: the place to count and to record. */
export type OnReview = (report: ReviewReport) => void;

/** What the handler knows of it. */
export interface EndedReview extends Omit<ReviewReport, 'version' | 'outcome'> {
  readonly version: TokenReviewVersion | undefined;
}

/** @returns tells every observer what the handler knows of a review */
export function createReviewReporter(
  observers: readonly OnReview[],
  logger: Logger,
): (ended: EndedReview) => ReviewReport {
  return ({ version: apiVersion, ...ended }) => {
    const version = apiVersion && (apiVersion === 'authentication.k8s.io/v1' ? 'v1' : 'v1beta1');
    const report: ReviewReport = { ...ended, version, outcome: outcomeOf(ended.end) };
    for (const observe of observers) {
      try {
        observe(report);
      } catch (error) {
        // A review that can't be recorded is a bug of ours, and no reason to change an answer.
        logger.error({ err: error, review: report.id }, 'a review could not be recorded');
      }
    }
    return report;
  };
}

/**
 * Writes one log line for each review, never with the token: `debug` for the answers of every day, `info` for
 * refusals, `warn` for what an operator should fix. Of similar warnings it writes one in 10 s, with the
 * number of those since the last one, which are at `debug`.
 *
 * @param now monotonic milliseconds
 */
export function createReviewLog(logger: Logger, now: () => number): OnReview {
  const limit = createLogLimiter(now);
  const weigh = (report: ReviewReport): { level: 'debug' | 'info' | 'warn'; unloggedSince?: number } => {
    const { outcome, callerGone } = report;
    if (callerGone || outcome === 'authenticated' || outcome === 'unknown') return { level: 'debug' };
    if (outcome === 'rejected') return { level: 'info' };
    const unloggedSince = limit(kindOf(report));
    if (unloggedSince === undefined) return { level: 'debug' };
    return { level: 'warn', ...(unloggedSince > 0 && { unloggedSince }) };
  };
  return (report) => {
    const { id, seconds, version, outcome, callerGone, end, answers, token } = report;
    const source = sourceOf(answers.at(-1));
    const { level, ...unlogged } = weigh(report);
    const more = { ...(source !== undefined && { cached: source }), ...(callerGone && { callerGone }), ...unlogged };
    logger[level]({ review: id, outcome, version, ...detail(end, token), ...more, seconds }, 'token review');
  };
}

/** What warnings have in common: in an outage every review fails alike. */
function kindOf({ outcome, end }: ReviewReport): string {
  return 'kind' in end && end.kind === 'error' ? `${outcome} ${end.authenticators.join(' ')}` : outcome;
}

/** Where the answer that decided came from; undefined: from a backend. */
function sourceOf(answer: Answer | undefined): Source | undefined {
  return answer !== undefined && 'decision' in answer ? answer.source : undefined;
}

function outcomeOf(end: ReviewResult | Error): ReviewOutcome {
  if (end instanceof StatusError) return end.code === 429 ? 'overloaded' : 'invalid';
  if (end instanceof Error) return 'error';
  return end.kind === 'no-opinion' ? 'unknown' : end.kind;
}

function detail(end: ReviewResult | Error, token: string | undefined): object {
  const told = (name: string) => withoutToken(name, token);
  // The messages of our own refusals only: any other error may quote what it met, and is logged by its place.
  if (end instanceof Error) return end instanceof StatusError ? { reason: end.message } : {};
  if (end.kind === 'authenticated') return { username: told(end.user.username) };
  if (end.kind === 'rejected')
    return { reason: end.reason, ...(end.subject !== undefined && { subject: told(end.subject) }) };
  return end.kind === 'error' ? { reason: end.message, authenticators: end.authenticators } : {};
}
