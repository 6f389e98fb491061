import { AuthenticatorError } from '@sallyport/authenticator';

/** Makes the error of a problem that concerns this login alone, and is not an outage. */
export function loginError(problem: string, fix?: string, options?: ErrorOptions) {
  const message = fix === undefined ? problem : `${problem}: ${fix}`;
  return new AuthenticatorError('failed', message, options);
}
