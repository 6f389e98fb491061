import { AuthenticatorError } from '@sallyport/authenticator';

/** Maximum number of frames of a stack in the log. */
const maxFrames = 5;

/**
 * Describes an error by its type and its place, and only an AuthenticatorError by its message. Other errors may quote
 * their input, as JSON.parse does, or have all of it as a property: that may be a request body with a token.
 */
export function errorFields(error: unknown): {
  type: string;
  /** The code, such as ECONNREFUSED or `unavailable`. */
  code?: string;
  message?: string;
  /** The frames of the stack, the innermost first. */
  frames?: readonly string[];
} {
  if (!(error instanceof Error)) return { type: typeof error };
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {};
  if (AuthenticatorError.is(error)) return { type: error.name, ...code, message: error.message };
  return { type: error.name, ...code, frames: readFrames(error) };
}

/** Returns what was thrown, or another error if it is not one: it may be the token itself. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error('something that is not an Error was thrown');
}

/** Reads the frames of a stack. It begins with the message, whose lines may look like frames: they are left out. */
function readFrames({ stack = '', message }: Error): readonly string[] {
  const start = stack.indexOf(message);
  if (start < 0) return [];
  const lines = stack.slice(start + message.length).split('\n');
  return lines
    .filter((line) => /^\s+at /.test(line))
    .slice(0, maxFrames)
    .map((line) => line.trim());
}

/** Removes the token: a backend may name a user after the token that it was asked about, and a plugin may quote it. */
export function withoutToken(text: string, token: string | undefined): string {
  return token && text.includes(token) ? text.replaceAll(token, '[token]') : text;
}
