import type { Answer, ChainContext } from '../chain/chain.ts';
import { isClosed, onceClosed, type ServerAnswer } from './http-server.ts';

/** What the chain is given of one review, and what it reports. */
export interface ReviewContext extends ChainContext {
  readonly isAborted: boolean;
  /** The answer of each authenticator that was asked, in order. */
  readonly answers: readonly Answer[];
  /** Ends the time of the review. */
  end(): void;
}

type Review = { -readonly [Key in keyof ReviewContext]: ReviewContext[Key] } & {
  answer: ServerAnswer;
  timeout: number;
  answers: Answer[];
  controller: AbortController | undefined;
  timer: NodeJS.Timeout | undefined;
};

/** A prototype, so that a review whose answer is at hand makes neither a signal nor a timer nor a function. */
const methods = {
  get isAborted() {
    return isClosed(this.answer) || this.controller?.signal.aborted === true;
  },
  get signal() {
    return (this.controller ?? createController(this)).signal;
  },
  onAnswer(answer: Answer) {
    this.answers.push(answer);
  },
  end() {
    clearTimeout(this.timer);
  },
} as Review;

/**
 * Creates the context of a review. Its signal aborts when the caller has gone, and after the time.
 *
 * @param timeout milliseconds, from when an authenticator first waits
 * @param hops see `AuthenticateContext.hops`
 */
export function createReviewContext(
  answer: ServerAnswer,
  timeout: number,
  audiences: readonly string[],
  hops?: number,
): ReviewContext {
  const review: Review = Object.create(methods);
  review.answer = answer;
  review.timeout = timeout;
  review.audiences = audiences;
  review.hops = hops;
  review.answers = [];
  review.controller = undefined;
  review.timer = undefined;
  return review;
}

/**
 * Reads the header `Sallyport-Hops`.
 *
 * @returns undefined when it is not there. What is no digit counts as more than any limit: only forwarding is refused then.
 */
export function hopsOf(header: string | readonly string[] | undefined): number | undefined {
  if (header === undefined) return undefined;
  return typeof header === 'string' && /^\d$/.test(header) ? Number(header) : Number.POSITIVE_INFINITY;
}

/** The answer's 'close' reports the end on both protocols. The request's 'aborted' does not, once the body was read. */
function createController(review: Review): AbortController {
  const controller = new AbortController();
  const leave = () => {
    if (!review.answer.writableEnded) controller.abort(new Error('the caller has gone'));
  };
  review.controller = controller;
  review.timer = setTimeout(() => controller.abort(new Error('the review took too long')), review.timeout);
  if (isClosed(review.answer)) leave();
  else onceClosed(review.answer, leave);
  return controller;
}
