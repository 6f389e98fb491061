import { FixableError } from '../../config/problems.ts';

/**
 * - `unavailable`: the provider is down or slow, or answers garbage.
 * - `denied`: the user or the provider refused the login.
 * - `failed`: the answer is not for this login, or the provider refuses this client.
 */
export type ProviderErrorKind = 'unavailable' | 'denied' | 'failed';

/**
 * A ProviderError says why a login at a provider did not succeed. Its message is for the log: it contains no secret, code or
 * token. It has no `cause`, since the errors of oauth4webapi keep answers and tokens there, and loggers print causes.
 */
export class ProviderError extends FixableError {
  override readonly name = 'ProviderError';
  readonly kind: ProviderErrorKind;

  constructor(kind: ProviderErrorKind, problem: string, fix?: string) {
    super(problem, fix);
    this.kind = kind;
  }
}
