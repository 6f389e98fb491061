import type { AuthenticateContext, Decision, UserInfo } from '@sallyport/authenticator';

/** Where an answer came from that no backend gave now. `stale`: an earlier one, since the backend could not be asked. */
export type Source = 'memory' | 'redis' | 'stale';

/** What one authenticator said to one review; `error` where it could not check. */
export type Answer = { readonly authenticator: string; readonly seconds: number } & (
  | {
      readonly decision: Decision;
      readonly recognized: boolean;
      /** Left out: the backend itself said so. */
      readonly source?: Source;
      /** Why the backend could not say so itself, when the source is `stale`. */
      readonly failure?: Error;
    }
  | { readonly error: Error }
);

/** The chain's context: that of every authenticator, and a listener for the answers on the way to the decision. */
export interface ChainContext extends AuthenticateContext {
  readonly onAnswer?: (answer: Answer) => void;
  /** Left out, as for every review: nothing is recorded on the way. */
  readonly observer?: ChainObserver;
}

/** The context of a review that wants to know where its answer came from. */
export interface CacheContext extends AuthenticateContext {
  /**
   * Called when the answer came from a cache, before it is given.
   *
   * @param failure why the backend could not be asked, when the source is `stale`
   */
  readonly onCached?: (source: Source, failure?: unknown) => void;
}

/** What `sallyport explain` sees on the way to a decision. */
export interface ChainObserver {
  /** See `AuthenticateContext.trace`. */
  onStep(authenticator: string, step: string): void;
  /** A user as the backend names them, and with the names that Kubernetes sees, whether or not the policy lets them pass. */
  onNames(authenticator: string, given: UserInfo, named: UserInfo): void;
}
