import { AuthenticatorError } from '@sallyport/authenticator';

/** Enough to find the place. */
const frameCount = 5;

/**
 * Describes an error by its type and its place, and only an AuthenticatorError by its message. Other errors may quote
 * their input, as those of JSON.parse do, or have all of it as a property: that may be a request body with a token.
 */
export function errorFields(error: unknown): {
  type: string;
  /** Such as ECONNREFUSED or `unavailable`. */
  code?: string;
  message?: string;
  /** Where it was thrown, the innermost frame first. */
  frames?: readonly string[];
} {
  if (!(error instanceof Error)) return { type: typeof error };
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {};
  if (AuthenticatorError.is(error)) return { type: error.name, ...code, message: error.message };
  return { type: error.name, ...code, frames: framesOf(error) };
}

/** A thrown value may be the token itself, so it is replaced unless it is an error. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error('something that is not an Error was thrown');
}

/** The stack begins with the message, and lines of a message may look like frames: these are left out. */
function framesOf({ stack = '', message }: Error): readonly string[] {
  const start = stack.indexOf(message);
  if (start < 0) return [];
  const lines = stack.slice(start + message.length).split('\n');
  return lines
    .filter((line) => /^\s+at /.test(line))
    .slice(0, frameCount)
    .map((line) => line.trim());
}

/** Removes the token: a backend may name a user after the token that it was asked about, and a plugin may quote it. */
export function withoutToken(text: string, token: string | undefined): string {
  return token && text.includes(token) ? text.replaceAll(token, '[token]') : text;
}
