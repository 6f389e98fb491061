import type { ErrorAnswer } from '../http/answer-errors.ts';
import { type StatusCode, StatusError } from '../http/kubernetes-status.ts';

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

/** The codes of errors in answers. The set is closed, since clients read them. */
type LoginErrorCode =
  | (typeof codes)[StatusCode]
  | 'cluster-required'
  | 'unknown-cluster'
  | 'wrong-credentials'
  | 'wrong-code'
  | 'no-browser-login'
  | 'no-session'
  | 'unavailable';

/** An error that is the answer. Its message reaches the client, so it quotes nothing of a request. */
export class LoginError extends Error {
  override readonly name = 'LoginError';
  readonly status: number;
  readonly code: LoginErrorCode;
  /** The seconds after which the client may retry. */
  readonly retryAfter: number | undefined;

  /**
   * Whether the answer could show that a name or a password is right: it counts as a wrong password, and takes as long
   * as one.
   */
  readonly isGuess: boolean;

  constructor(
    status: number,
    code: LoginErrorCode,
    message: string,
    retryAfter?: number,
    isGuess = status === 401,
  ) {
    super(message);
    this.isGuess = isGuess;
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

export function noSession(): LoginError {
  return new LoginError(
    401,
    'no-session',
    'there is no such session, or it has ended: log in again',
  );
}

/** Makes the error of a refused login, whatever the reason. */
export function wrongCredentials(): LoginError {
  return new LoginError(
    401,
    'wrong-credentials',
    'the name or the password is wrong, or this user is not allowed to log in',
  );
}

/** Makes the error of a password at a server at which people log in at providers alone. */
export function noPasswords(): LoginError {
  return new LoginError(
    400,
    'bad-request',
    "this server doesn't accept passwords: log in with a browser. If your kubectl-sallyport can't, update it",
  );
}

/** Makes the error of a code that gets no session. */
export function wrongCode(): LoginError {
  return new LoginError(
    401,
    'wrong-code',
    'the code is wrong, was used before, or has expired: log in again',
  );
}

/** Makes the error of a limit that is reached. @param retryAfter seconds */
export function tooMany(message: string, retryAfter: number): LoginError {
  return new LoginError(429, 'too-many-requests', message, retryAfter);
}

/** Makes the error of an outage. @param what such as `the session store` */
export function unavailable(what: string): LoginError {
  return new LoginError(503, 'unavailable', `${what} can't be asked now: try again later`, 5);
}

/**
 * Makes the error of a login that could not be checked, since a directory is down or because of this user, who may be
 * in too many groups. There is one text for both: another one would show who has an account.
 */
export function uncheckedLogin(isGuess: boolean): LoginError {
  const message =
    "the login can't be checked now: try again later. If this continues, call your administrator";
  return new LoginError(503, 'unavailable', message, 5, isGuess);
}

/** Makes the body of an answer that is an error. */
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
