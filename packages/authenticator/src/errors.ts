/** Errors are recognised by this and not by `instanceof`: a plugin may carry its own copy of this package. */
const brand = Symbol.for('@sallyport/authenticator/AuthenticatorError');

/**
 * - `unavailable`: the backend did not answer, or answered that it can't. An outage: enough of them open the
 *   circuit, and the authenticator is skipped for a while.
 * - `failed`: this one token could not be checked (a bad record, a group search over its size limit). It says
 *   nothing about the backend and never opens the circuit.
 */
export type AuthenticatorErrorCode = 'unavailable' | 'failed';

/**
 * Thrown when a token could not be checked. It is never cached and never read as a refusal.
 *
 * The message reaches the log: name the backend and how to fix it, never a token, a password or free text that the
 * caller chose. Any other throw counts as `unavailable`: an error that is not known to concern one token alone is an outage.
 */
export class AuthenticatorError extends Error {
  override readonly name = 'AuthenticatorError';
  readonly code: AuthenticatorErrorCode;

  constructor(code: AuthenticatorErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    Object.defineProperty(this, brand, { value: true });
  }

  /** True for errors of this class from any copy of this package. */
  static is(error: unknown): error is AuthenticatorError {
    return error instanceof Error && brand in error;
  }
}
