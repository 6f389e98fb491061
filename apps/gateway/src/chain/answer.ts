import type { AuthenticateContext, Decision } from '@sallyport/authenticator';
import type { Source } from '../cache/types.ts';

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
}
