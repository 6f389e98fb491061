import type { ErrorAnswer } from '../http/answer-errors.ts';
import { type StatusCode, StatusError } from '../http/kubernetes-status.ts';
import { minutesText } from './factors/totp.ts';

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
  503: 'unavailable',
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
  | 'second-factor-required'
  | 'second-factor-not-enrolled'
  | 'no-second-factor'
  | 'invitation-required'
  | 'wrong-invitation'
  | 'enrolment-ended'
  | 'too-many-factors'
  | 'duplicate-factor';

type LoginErrorExtras = Pick<LoginError, 'retryAfter' | 'isGuess' | 'details'>;

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

  /** More fields of the body, for clients. */
  readonly details: object;

  constructor(
    status: number,
    code: LoginErrorCode,
    message: string,
    { retryAfter, isGuess = status === 401, details = {} }: Partial<LoginErrorExtras> = {},
  ) {
    super(message);
    this.isGuess = isGuess;
    this.details = details;
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

export function noSession(
  message = 'there is no such session, or it has ended: log in again',
): LoginError {
  return new LoginError(401, 'no-session', message);
}

/**
 * Makes the error of a refused login, whatever the reason.
 *
 * @param hasCode whether the client sent a code of a second factor, too: the text does not say which one is wrong
 */
export function wrongCredentials(hasCode = false): LoginError {
  const credentials = hasCode ? 'the name, the password or the code' : 'the name or the password';
  return new LoginError(
    401,
    'wrong-credentials',
    `${credentials} is wrong, or this user is not allowed to log in`,
  );
}

/**
 * Makes the error of a right password without a second factor. It is no guess: who knows the password already learns nothing.
 *
 * @param methods the methods of this user. Empty: recovery codes alone are left
 */
export function secondFactorRequired(methods: readonly string[]): LoginError {
  const message = methods.includes('passkey')
    ? 'a second factor is required: log in with a browser, or with a code'
    : 'a code of your second factor is required';
  return new LoginError(
    401,
    'second-factor-required',
    `${message}. If your kubectl-sallyport does not ask for it, update it`,
    { isGuess: false, details: { methods } },
  );
}

/**
 * Makes the error of a user who must have a second factor and has none, or whose record can't be used. It counts as a guess:
 * unlike a client that has not sent its code yet, such a user can't go on, and each further attempt asks the directory.
 */
export function factorNotEnrolled(): LoginError {
  return new LoginError(
    401,
    'second-factor-not-enrolled',
    'this user must have a second factor, and has none that can be used: ask your administrator for an invitation',
  );
}

/** Makes the error of a code that no one asked for. */
export function noFactor(): LoginError {
  return new LoginError(
    401,
    'second-factor-not-enrolled',
    'this user has no second factor at this server: log in without a code, or ask your administrator',
  );
}

/** Makes the error of a request about second factors that this server, or the user's directory, does not have. */
export function noSecondFactor(): LoginError {
  return new LoginError(
    404,
    'no-second-factor',
    'this server has no second factor for this user (login.secondFactor)',
  );
}

/**
 * Makes the error of a first factor without an invitation. It is no guess: each user who adds their first one at a terminal gets
 * it, and is then asked for the invitation.
 */
export function invitationRequired(): LoginError {
  return new LoginError(
    401,
    'invitation-required',
    'the first second factor needs an invitation: ask your administrator for one',
    { isGuess: false },
  );
}

export function wrongInvitation(): LoginError {
  return new LoginError(
    401,
    'wrong-invitation',
    'the invitation is wrong, was used before, or has expired: ask your administrator for another one',
  );
}

/** @param minutes by how many minutes the clock of the app differs, if that is why its code is wrong */
export function wrongEnrolmentCode(minutes: number | undefined): LoginError {
  const clock =
    minutes === undefined
      ? 'type the code that the app shows now'
      : `the clock of the app is about ${minutesText(minutes)} ${minutes > 0 ? 'ahead of' : 'behind'} the clock of the server: correct the clock of the device`;
  return new LoginError(401, 'wrong-code', `the code is wrong: ${clock}`);
}

export function enrolmentEnded(): LoginError {
  return new LoginError(
    409,
    'enrolment-ended',
    'this took too long, was ended by an administrator or by another enrolment, or this user may not log in any more: begin again',
  );
}

export function tooManyFactors(): LoginError {
  return new LoginError(
    409,
    'too-many-factors',
    'this user has the most factors of this kind: remove one on the page first',
  );
}

export function duplicateFactor(): LoginError {
  return new LoginError(409, 'duplicate-factor', 'this user has added this factor before');
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
  return new LoginError(429, 'too-many-requests', message, { retryAfter });
}

/** Makes the error of an outage. @param backend such as `the session store` */
export function createUnavailableError(backend: string): LoginError {
  return new LoginError(503, 'unavailable', `${backend} can't be asked now: try again later`, {
    retryAfter: 5,
  });
}

/**
 * Makes the error of a login that could not be checked, since a directory is down or because of this user, who may be
 * in too many groups. There is one text for both: another one would show who has an account.
 */
export function uncheckedLogin(isGuess: boolean): LoginError {
  const message =
    "the login can't be checked now: try again later. If this continues, call your administrator";
  return new LoginError(503, 'unavailable', message, { retryAfter: 5, isGuess });
}

/** Makes the body of an answer that is an error. */
export function errorBody(code: StatusCode, message: string): object {
  return { code: codes[code], message };
}

export function toAnswer(error: unknown): ErrorAnswer | undefined {
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
  return { code: status, body: { code, message, ...error.details }, headers };
}
