import {
  type Authenticator,
  AuthenticatorError,
  type Decision,
  type Logger,
  type UserInfo,
} from '@sallyport/authenticator';
import { asError } from '../logging/error-fields.ts';
import { inSpan } from '../tracing/in-span.ts';
import type { Answer, CacheContext, ChainContext, Source } from './answer.ts';
import { ChainError } from './chain-error.ts';
import type { IdentityContext } from './identity-policy.ts';

/** One authenticator in its place in the order. */
export interface Link {
  /** Unique in the chain: the label in metrics, logs and errors. */
  readonly name: string;
  /** `continue`: the next one is asked when this one can't check, as in Kubernetes' own union. `stop`: nobody else is. */
  readonly onError: 'continue' | 'stop';
  readonly authenticator: Authenticator;
}

/** All authenticators as one. */
export interface Chain {
  /**
   * Asks in order until one says `authenticated` or `rejected`; `no-opinion` when nobody knows the token.
   *
   * @throws ChainError when nobody decided and at least one could not check, or when `context.signal` aborted first
   */
  authenticate(token: string, context: ChainContext): Promise<Decision>;
}

export interface ChainDependencies {
  /** Monotonic milliseconds: for durations, so a clock that is set does not bend them. */
  readonly now: () => number;
  readonly log: Pick<Logger, 'error'>;
}

/** Puts the links in order. An empty chain knows no token. */
export function chain(links: readonly Link[], dependencies: ChainDependencies): Chain {
  return {
    async authenticate(token, context) {
      const failures: { authenticator: string; error: Error }[] = [];
      for (const link of links) {
        const answer = await ask(link, token, context, dependencies.now);
        tell(answer, context, dependencies.log);
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
  const told = () => ({ authenticator: link.name, seconds: (now() - start) / 1000 });
  try {
    if (!recognizes(link.authenticator, token)) {
      return { ...told(), decision: { kind: 'no-opinion' }, recognized: false };
    }
    let cached: { readonly source?: Source; readonly failure?: Error } = {};
    const { observer } = context;
    const own: CacheContext & IdentityContext = {
      audiences: context.audiences,
      signal: context.signal,
      onCached: (source, failure) => {
        cached = { source, ...(failure !== undefined && { failure: asError(failure) }) };
      },
      ...(observer && {
        trace: (step: string) => observer.onStep(link.name, step),
        onNames: (given: UserInfo, named: UserInfo) => observer.onNames(link.name, given, named),
      }),
    };
    const decision = await untilAborted(context.signal, async () => link.authenticator.authenticate(token, own));
    return { ...told(), decision, recognized: true, ...cached };
  } catch (error) {
    return { ...told(), error: asError(error) };
  }
}

/** Strict, so that a `recognizes` made `async` by mistake, whose promise would always read as yes, is found. */
function recognizes(authenticator: Authenticator, token: string): boolean {
  const answer: unknown = authenticator.recognizes === undefined || authenticator.recognizes(token);
  if (typeof answer === 'boolean') return answer;
  throw new AuthenticatorError('failed', 'recognizes() returned neither true nor false');
}

/** The chain's own end of waiting: it holds for a layer that does not look at its signal, too. */
function untilAborted(signal: AbortSignal, work: () => Promise<Decision>): Promise<Decision> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      reject(new AuthenticatorError('unavailable', 'the review ended before the answer', { cause: signal.reason }));
    };
    if (signal.aborted) {
      stop();
      return;
    }
    signal.addEventListener('abort', stop, { once: true });
    const clear = () => signal.removeEventListener('abort', stop);
    work().then(
      (decision) => {
        clear();
        resolve(decision);
      },
      (error: unknown) => {
        clear();
        reject(error);
      },
    );
  });
}

/** A listener that throws is a bug of ours, and no reason to change what the authenticators decided. */
function tell(answer: Answer, context: ChainContext, log: Pick<Logger, 'error'>): void {
  try {
    context.onAnswer?.(answer);
  } catch (error) {
    log.error({ err: error, authenticator: answer.authenticator }, 'an answer could not be recorded');
  }
}
