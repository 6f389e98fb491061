export type { AdmittedAttempt, AttemptOutcome, Attempts, DeniedAttempt } from './attempts.ts';
export type { AuthenticateContext, Authenticator, LoggedIn, RevalidateContext } from './authenticator.ts';
export {
  type Authenticated,
  type Credential,
  type Decision,
  type NoOpinion,
  type Rejected,
  type RejectionReason,
  rejectionReasons,
  type UserInfo,
} from './decision.ts';
export { AuthenticatorError, type AuthenticatorErrorCode } from './errors.ts';
export type { Counter, Gauge, Histogram, HistogramOptions, Labels, MetricOptions, Metrics } from './metrics.ts';
export type { AuthenticatorPlugin, Caching, Logger, PluginContext, WatchOptions } from './plugin.ts';
export type {
  IssuedToken,
  Revocation,
  RevokedToken,
  TokenFilter,
  TokenIssuer,
  TokenRequest,
  TokenSelection,
  TokenSession,
  UnreadableToken,
} from './token-issuer.ts';
