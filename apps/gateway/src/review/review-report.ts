import type { Logger } from '@sallyport/authenticator';
import { withoutToken } from '../base/logging/error-fields.ts';
import { createLogLimiter } from '../base/logging/log-limiter.ts';
import type { Answer } from '../engine/chain/chain.ts';
import { StatusError } from '../http/kubernetes-status.ts';
import type { ReviewResult, TokenReviewRequest } from './token-review.ts';

/**
 * The `outcome` label of the review metrics. `invalid` was answered with a 4xx. `error` could not be checked, or is a
 * bug.
 */
export type ReviewOutcome =
  | 'authenticated'
  | 'rejected'
  | 'unknown'
  | 'error'
  | 'invalid'
  | 'overloaded';

/** Whether a request was refused before its token was looked at. Such requests are cheap to send in any number. */
export function isWithoutReview(outcome: ReviewOutcome): boolean {
  return outcome === 'invalid' || outcome === 'overloaded';
}

/** The report of one review. */
export interface ReviewReport {
  /** The id of the review in the log and the audit trail. It is random. */
  readonly id: string;
  /** When the review came: wall clock, milliseconds since 1970. */
  readonly at: number;
  readonly seconds: number;
  /** The subject of the caller's certificate. It is undefined if client certificates are not required. */
  readonly client?: string | undefined;
  /** The API version. It is undefined if no review could be read. */
  readonly version: 'v1' | 'v1beta1' | undefined;
  readonly outcome: ReviewOutcome;
  /** The result, or what was thrown. */
  readonly end: ReviewResult | Error;
  /** The answer of each authenticator that was asked, in order. If one of them decided, it was the last. */
  readonly answers: readonly Answer[];
  /**
   * The token as it was sent. It is written nowhere. After the report only the audit trail references it, until its
   * batch is written, 20 ms later at most. It is undefined if no review could be read.
   */
  readonly token: string | undefined;
  /** The audiences that the review named. */
  readonly askedFor?: readonly string[] | undefined;
  /** Whether the caller did not wait for the answer. */
  readonly callerGone: boolean;
}

/** Logs, counts or records a review. It is called once for each, right before its answer is sent. */
export type OnReview = (report: ReviewReport) => void;

/** Reports each review to every observer, in their order. */
export function createReviewReporter(observers: readonly OnReview[], logger: Logger) {
  type EndedReview = Omit<ReviewReport, 'version' | 'outcome' | 'token' | 'askedFor'> & {
    readonly request: TokenReviewRequest | undefined;
  };
  // The properties are spelled out, because a spread takes several times as long.
  return ({
    id,
    at: startedAt,
    seconds,
    client,
    request,
    end,
    answers,
    callerGone,
  }: EndedReview): ReviewReport => {
    const version =
      request && (request.apiVersion === 'authentication.k8s.io/v1' ? 'v1' : 'v1beta1');
    const outcome = describeOutcome(end);
    const token = request?.token;
    const report: ReviewReport = {
      id,
      at: startedAt,
      seconds,
      client,
      version,
      outcome,
      end,
      answers,
      token,
      askedFor: request?.audiences,
      callerGone,
    };
    for (const observe of observers) {
      try {
        observe(report);
      } catch (error) {
        // A review that can't be recorded is a bug of ours, and no reason to change its answer.
        logger.error({ err: error, review: report.id }, 'review could not be recorded');
      }
    }
    return report;
  };
}

/** The level of a line, and how many of its kind were at `debug` since the last one. */
type Level = [level: 'debug' | 'info' | 'warn', unlogged?: number];

/** The logger of pino says what it would leave out: most reviews are at `debug`. */
type ReviewLogger = Logger & { isLevelEnabled?(level: string): boolean };

/**
 * Writes one log line for each review, never with the token: `debug` for everyday answers, `info` for refusals, `warn`
 * for what an operator should fix. Of similar warnings, and of refusals that name no user, which anyone can cause, it writes one
 * in 10 s, with the number of those since the last one, which are at `debug`.
 *
 * @param now monotonic milliseconds
 */
export function createReviewLog(logger: ReviewLogger, now: () => number): OnReview {
  const limit = createLogLimiter(now);
  const limited = (level: 'info' | 'warn', kind: string): Level => {
    const unloggedSince = limit(kind);
    return unloggedSince === undefined ? ['debug'] : [level, unloggedSince];
  };
  const chooseLevel = ({ outcome, callerGone, end, answers }: ReviewReport): Level => {
    if (callerGone || outcome === 'authenticated' || outcome === 'unknown') return ['debug'];
    if ('kind' in end && end.kind === 'rejected') {
      if (end.subject !== undefined) return ['info'];
      return limited('info', `${outcome} ${answers.at(-1)?.authenticator} ${end.reason}`);
    }
    // In an outage every review fails alike.
    const kind = 'authenticators' in end ? `${outcome} ${end.authenticators.join(' ')}` : outcome;
    return limited('warn', kind);
  };
  return (report) => {
    const { id, seconds, version, outcome, callerGone, answers } = report;
    const [level, unloggedSince = 0] = chooseLevel(report);
    if (level === 'debug' && logger.isLevelEnabled?.('debug') === false) return;
    const last = answers.at(-1);
    // The source of the answer that decided is undefined for a backend.
    const source = last !== undefined && 'decision' in last ? last.source : undefined;
    const isDecided = outcome === 'authenticated' || outcome === 'rejected';
    const details = {
      // The authenticator is unknown for a token that is blocked itself: none was asked.
      ...(isDecided && last !== undefined && { authenticator: last.authenticator }),
      ...(isDecided && last?.directory !== undefined && { directory: last.directory.name }),
      ...(source !== undefined && { cached: source }),
      ...(callerGone && { callerGone }),
      ...(unloggedSince > 0 && { unloggedSince }),
    };
    logger[level](
      { review: id, outcome, version, ...detail(report), ...details, seconds },
      'token review',
    );
  };
}

function describeOutcome(end: ReviewResult | Error): ReviewOutcome {
  if (end instanceof StatusError) return end.code === 429 ? 'overloaded' : 'invalid';
  if (end instanceof Error) return 'error';
  return end.kind === 'no-opinion' ? 'unknown' : end.kind;
}

function detail(report: ReviewReport): object {
  const { end, token } = report;
  // Only our own refusals are logged by their messages: any other error can quote its input, and is logged by its
  // place.
  if (end instanceof Error) return end instanceof StatusError ? { reason: end.message } : {};
  if (end.kind === 'authenticated') return { username: withoutToken(end.user.username, token) };
  if (end.kind === 'error') return { reason: end.message, authenticators: end.authenticators };
  if (end.kind === 'no-opinion') return {};
  const { reason, subject } = end;
  return {
    reason,
    ...(subject !== undefined && { subject: withoutToken(subject, token) }),
    ...describeAudiences(report),
  };
}

/**
 * Returns what a review asked for that was refused for its audience, and what its token is valid for. `askedFor` is empty if the
 * review named none. `validFor` is undefined if the authenticator does not say.
 */
export function describeAudiences({ end, askedFor, token }: ReviewReport) {
  if (end instanceof Error || end.kind !== 'rejected' || end.reason !== 'audience-mismatch')
    return undefined;
  // A caller may name the token itself as an audience.
  const clean = (audiences: readonly string[] | undefined) =>
    audiences?.map((audience) => withoutToken(audience, token));
  return { askedFor: clean(askedFor), validFor: clean(end.audiences) };
}
