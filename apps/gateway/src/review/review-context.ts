import type { Answer, ChainContext } from '../engine/chain/chain.ts';
import { isClosed, onceClosed, type ServerAnswer } from '../http/http-server.ts';

/** The context of one review for the chain, which reports its answers to it. */
export interface ReviewContext extends ChainContext {
  readonly isAborted: boolean;
  /** The answer of each authenticator that was asked, in order. */
  readonly answers: readonly Answer[];
  /** Stops the timer of the review. */
  end(): void;
}

/** A review whose answer is there immediately makes neither a signal nor a timer nor a function. */
// biome-ignore lint/plugin: a getter in an object literal takes 1.4 µs of the 45 that a cached answer takes.
class Review implements ReviewContext {
  readonly audiences: readonly string[];
  readonly hops: number | undefined;
  readonly answers: Answer[] = [];
  readonly #answer: ServerAnswer;
  readonly #timeout: number;
  #controller: AbortController | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    answer: ServerAnswer,
    timeout: number,
    audiences: readonly string[],
    hops: number | undefined,
  ) {
    this.#answer = answer;
    this.#timeout = timeout;
    this.audiences = audiences;
    this.hops = hops;
  }

  get isAborted() {
    return isClosed(this.#answer) || this.#controller?.signal.aborted === true;
  }

  get signal() {
    this.#controller ??= this.#createController();
    return this.#controller.signal;
  }

  onAnswer(answer: Answer) {
    this.answers.push(answer);
  }

  end() {
    clearTimeout(this.#timer);
  }

  /** The answer's 'close' reports the end on both protocols. The request's 'aborted' does not, once the body was read. */
  #createController(): AbortController {
    const answer = this.#answer;
    const controller = new AbortController();
    const leave = () => {
      if (!answer.writableEnded) controller.abort(new Error('the caller has gone'));
    };
    this.#timer = setTimeout(
      () => controller.abort(new Error('the review took too long')),
      this.#timeout,
    );
    if (isClosed(answer)) leave();
    else onceClosed(answer, leave);
    return controller;
  }
}

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
  return new Review(answer, timeout, audiences, hops);
}

/**
 * Reads the header `Sallyport-Hops`.
 *
 * @returns undefined when it is missing. What is not a digit counts as more than any limit: only forwarding is
 *   refused then.
 */
export function readHops(header: string | readonly string[] | undefined): number | undefined {
  if (header === undefined) return undefined;
  return typeof header === 'string' && /^\d$/.test(header)
    ? Number(header)
    : Number.POSITIVE_INFINITY;
}
