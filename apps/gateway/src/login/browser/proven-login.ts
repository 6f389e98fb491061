import { randomBytes } from 'node:crypto';
import { type BrowserState, findLoginSecret, joinLoginSecret } from '../attempts/attempt.ts';
import type { PendingLogin } from '../attempts/pending-logins.ts';
import { randomText, secretDigest } from '../secret-text.ts';
import { fromPending } from './browser-logins.ts';
import { type PageRequest, setState } from './page-request.ts';

/** The length of the key in a path: 130 bits. */
const keyLength = 26;

/**
 * Finds the login in progress of this browser on this path.
 *
 * @returns undefined if no one has logged in here, if the login has gone on from another page, and after its end
 */
export async function findLogin(
  { service, browser, attempt }: PageRequest,
  state: BrowserState | undefined,
): Promise<PendingLogin | undefined> {
  const secret = state && findLoginSecret(attempt, state);
  if (secret === undefined) return undefined;
  return fromPending(service, () => browser.pending.read(attempt.id, secret));
}

/** What follows a proof. */
export interface RenewedLogin {
  /** The digest of the new secret, for the login in progress. */
  readonly digest: string;
  /** Gives the browser its half of the secret. @returns the page at the path with the other half */
  enter(): PageRequest;
}

/**
 * Makes a new secret after a proof, so that nothing from before goes on: neither a cookie that someone planted in this browser or
 * received from it, nor a path that someone knows.
 */
export function renewLogin(page: PageRequest, state: BrowserState): RenewedLogin {
  const [login, key] = [randomBytes(32).toString('base64url'), randomText(keyLength)];
  const attempt = { ...page.attempt, key };
  return {
    digest: secretDigest(joinLoginSecret(login, key)),
    enter() {
      setState(page, { ...state, login });
      return { ...page, attempt, path: `/login/${page.browser.attempts.writeAttempt(attempt)}` };
    },
  };
}
