import {
  type AuthenticateContext,
  type Authenticator,
  AuthenticatorError,
  type Decision,
  type Logger,
  type UserInfo,
} from '@sallyport/authenticator';
import { within } from '../deadlines.ts';
import { asError } from '../logging/error-fields.ts';
import { inSpan } from '../tracing/in-span.ts';

/** Where an answer came from if no backend gave it now. `stale`: an earlier one, since the backend was unavailable. */
export type Source = 'memory' | 'redis' | 'stale';

/** What one authenticator answered in one review; `error` where it could not check. */
export type Answer = { readonly authenticator: string; readonly seconds: number } & (
  | {
      readonly decision: Decision;
      readonly recognized: boolean;
      /** Left out: the backend itself answered. */
      readonly source?: Source;
      /** Why the backend was unavailable, when the source is `stale`. */
      readonly failure?: Error;
    }
  | { readonly error: Error }
);

/** What `sallyport explain` sees on the way to a decision. */
export interface ChainObserver {
  /** See `AuthenticateContext.trace`. */
  onStep(authenticator: string, step: string): void;
  /** A user as the backend names them, and with the names that Kubernetes sees, whether or not the policy lets them pass. */
  onNames(authenticator: string, given: UserInfo, named: UserInfo): void;
}

/** The context of a review. */
export interface ChainContext extends AuthenticateContext {
  /** Called with each answer on the way to the decision. */
  readonly onAnswer?: (answer: Answer) => void;
  readonly observer?: ChainObserver;
}

/** The context of one authenticator with its layers, which say more than a plugin does. */
export interface LinkContext extends AuthenticateContext {
  /**
   * Called when the answer came from a cache, before it is given.
   *
   * @param failure why the backend was unavailable, when the source is `stale`
   */
  readonly onCached?: (source: Source, failure?: unknown) => void;
  readonly onNames?: (given: UserInfo, named: UserInfo) => void;
}

/** One authenticator of the chain. */
export interface Link {
  /** Unique in the chain: the label in metrics, logs and errors. */
  readonly name: string;
  /** Whether the next one is asked when this one can't check (`continue`), as in Kubernetes' own union, or not (`stop`). */
  readonly onError: 'continue' | 'stop';
  /** The plugin's own: asked before all layers. */
  readonly recognizes: (token: string) => boolean;
  /** The plugin with its layers around it. */
  readonly authenticator: Authenticator;
}

/** All authenticators as one. */
export interface Chain {
  /**
   * Asks in order until one says `authenticated` or `rejected`; `no-opinion` when none knows the token.
   *
   * @throws ChainError when none decided and at least one could not check, or when `context.signal` aborted first
   */
  authenticate(token: string, context: ChainContext): Promise<Decision>;
}

/** The review could not be decided: no authenticator that answered knew the token, and these could not check it. */
export class ChainError extends AggregateError {
  override readonly name = 'ChainError';
  /** Names of the authenticators that could not check, in the order in which they failed; `errors` has the same order. */
  readonly authenticators: readonly string[];

  constructor(failures: readonly { readonly authenticator: string; readonly error: Error }[]) {
    const names = failures.map((failure) => failure.authenticator);
    super(
      failures.map((failure) => failure.error),
      `${names.length === 1 ? 'authenticator' : 'authenticators'} ${names.join(', ')} unavailable`,
    );
    this.authenticators = names;
  }
}

export interface ChainDependencies {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly log: Pick<Logger, 'error'>;
}

/** Puts the links in order. An empty chain knows no token. */
export function chain(links: readonly Link[], { now, log }: ChainDependencies): Chain {
  return {
    async authenticate(token, context) {
      const failures: { authenticator: string; error: Error }[] = [];
      for (const link of links) {
        const answer = await ask(link, token, context, now);
        report(answer, context, log);
        if ('error' in answer) {
          failures.push({ authenticator: link.name, error: answer.error });
          if (link.onError === 'stop' || context.signal.aborted) break;
        } else if (answer.decision.kind !== 'no-opinion') {
          return answer.decision;
        }
      }
      if (failures.length > 0) throw new ChainError(failures);
      return { kind: 'no-opinion' };
    },
  };
}

function ask(link: Link, token: string, context: ChainContext, now: () => number): Promise<Answer> {
  return inSpan('authenticator', {}, async (span) => {
    const answer = await answerOf(link, token, context, now);
    span.set({ 'sallyport.authenticator': link.name });
    if ('error' in answer) span.fail(AuthenticatorError.is(answer.error) ? answer.error.code : answer.error.name);
    else {
      const { decision, recognized, source } = answer;
      const reason = decision.kind === 'rejected' ? decision.reason : undefined;
      span.set({ 'sallyport.decision': decision.kind, 'sallyport.reason': reason });
      span.set({ 'sallyport.recognized': recognized, 'sallyport.source': source });
    }
    return answer;
  });
}

async function answerOf(link: Link, token: string, context: ChainContext, now: () => number): Promise<Answer> {
  const start = now();
  const common = () => ({ authenticator: link.name, seconds: (now() - start) / 1000 });
  try {
    if (!recognizes(link, token)) return { ...common(), decision: { kind: 'no-opinion' }, recognized: false };
    const { audiences, signal, observer } = context;
    let cached: { readonly source?: Source; readonly failure?: Error } = {};
    const own: LinkContext = {
      audiences,
      signal,
      onCached: (source, failure) => {
        cached = { source, ...(failure !== undefined && { failure: asError(failure) }) };
      },
      ...(observer && {
        trace: (step) => observer.onStep(link.name, step),
        onNames: (given, named) => observer.onNames(link.name, given, named),
      }),
    };
    const aborted = () =>
      new AuthenticatorError('unavailable', 'the review ended before the answer', { cause: signal.reason });
    // It holds for a layer that does not look at its signal, too.
    const decision = await within({ signal, aborted }, () => link.authenticator.authenticate(token, own));
    return { ...common(), decision, recognized: true, ...cached };
  } catch (error) {
    return { ...common(), error: asError(error) };
  }
}

/** Strict: the promise of a `recognizes` that is `async` by mistake would always read as true. */
function recognizes(link: Link, token: string): boolean {
  const answer: unknown = link.recognizes(token);
  if (typeof answer === 'boolean') return answer;
  throw new AuthenticatorError('failed', 'recognizes() returned neither true nor false');
}

/** A listener that throws is a bug of ours, and does not change what the authenticators decided. */
function report(answer: Answer, context: ChainContext, log: Pick<Logger, 'error'>): void {
  try {
    context.onAnswer?.(answer);
  } catch (error) {
    log.error({ err: error, authenticator: answer.authenticator }, 'an answer could not be recorded');
  }
}
