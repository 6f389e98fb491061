import type { AuthenticateContext, Decision } from '@sallyport/authenticator';

/** What one authenticator said to one review; `error` where it could not check. */
export type Answer = { readonly authenticator: string; readonly seconds: number } & (
  | { readonly decision: Decision; readonly recognized: boolean }
  | { readonly error: Error }
);

/** The chain's context: that of every authenticator, and a listener for the answers on the way to the decision. */
export interface ChainContext extends AuthenticateContext {
  readonly onAnswer?: (answer: Answer) => void;
}
