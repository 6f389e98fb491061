import { AuthenticatorError } from '@sallyport/authenticator';

/** What is logged of an error. */
export interface ErrorFields {
  readonly type: string;
  /** Such as ECONNREFUSED, or `unavailable`. */
  readonly code?: string;
  /** Only of an AuthenticatorError: that one was written for the log. */
  readonly message?: string;
  /** Where it was thrown, the innermost first. */
  readonly frames?: readonly string[];
}

/** Enough to find the place. */
const frameCount = 5;

/**
 * An error may quote what it met, as those of JSON.parse do, and parsers hang their whole input on theirs: that may be
 * a request body, and the token in it. So an error is told by its type and its place; the message only of an
 * AuthenticatorError.
 */
export function errorFields(error: unknown): ErrorFields {
  if (!(error instanceof Error)) return { type: typeof error };
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {};
  if (AuthenticatorError.is(error)) return { type: error.name, ...code, message: error.message };
  return { type: error.name, ...code, frames: framesOf(error) };
}

/** What was thrown may be the token itself, so only errors are kept. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error('something that is no Error was thrown');
}

/** The stack begins with the message, whose own lines may look like frames. */
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
