import type { ErrorAnswer } from '../server/answer-errors.ts';
import { type StatusCode, StatusError } from '../server/kubernetes-status.ts';

const codes = {
  400: 'bad-request',
  403: 'forbidden',
  404: 'not-found',
  405: 'method-not-allowed',
  408: 'too-slow',
  413: 'too-large',
  415: 'unsupported-media-type',
  429: 'too-many-requests',
  431: 'bad-request',
  500: 'internal-error',
} as const satisfies Readonly<Record<StatusCode, string>>;

/** What an answer can say in place of what was asked for: a closed set, which clients read. */
type LoginErrorCode =
  | (typeof codes)[StatusCode]
  | 'cluster-required'
  | 'unknown-cluster'
  | 'wrong-credentials'
  | 'no-session'
  | 'unavailable';

/** An answer in place of what was asked for. Its message reaches the client: it quotes nothing of a request. */
export class LoginError extends Error {
  override readonly name = 'LoginError';
  readonly status: number;
  readonly code: LoginErrorCode;
  /** Seconds after which to try again. */
  readonly retryAfter: number | undefined;

  /** It could show whether a name or a password is right: it counts as a wrong password, and takes as long as one. */
  readonly isGuess: boolean;

  constructor(status: number, code: LoginErrorCode, message: string, retryAfter?: number, isGuess = status === 401) {
    super(message);
    this.isGuess = isGuess;
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

export function noSession(): LoginError {
  return new LoginError(401, 'no-session', 'there is no such session, or it has ended: log in again');
}

/** @param retryAfter seconds */
export function tooMany(message: string, retryAfter: number): LoginError {
  return new LoginError(429, 'too-many-requests', message, retryAfter);
}

/** @param what such as `the store of sessions` */
export function unavailable(what: string): LoginError {
  return new LoginError(503, 'unavailable', `${what} can't be asked now: try again later`, 5);
}

/**
 * A login could not be checked, since a directory is down or because of this user, who may be in too many groups. There is one text for
 * both: another one would show who has an account.
 */
export function uncheckedLogin(isGuess: boolean): LoginError {
  const message = "the login can't be checked now: try again later. If it stays so, call your administrator";
  return new LoginError(503, 'unavailable', message, 5, isGuess);
}

/** The body of every answer that is an error. */
export function errorBody(code: StatusCode, message: string): object {
  return { code: codes[code], message };
}

export function answerOf(error: unknown): ErrorAnswer | undefined {
  if (error instanceof StatusError) {
    const headers = error.code === 429 ? { 'Retry-After': '1' } : {};
    return { code: error.code, body: errorBody(error.code, error.message), headers };
  }
  if (!(error instanceof LoginError)) return undefined;
  const { status, code, message, retryAfter } = error;
  const headers = {
    ...(retryAfter !== undefined && { 'Retry-After': String(retryAfter) }),
    ...(status === 401 && { 'WWW-Authenticate': 'Bearer' }),
  };
  return { code: status, body: { code, message }, headers };
}
