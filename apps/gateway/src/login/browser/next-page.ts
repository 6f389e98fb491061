import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { describeCause } from '../../config/problems.ts';
import {
  type BrowserState,
  findLoginSecret,
  joinLoginSecret,
  keyLength,
  writePath,
} from '../attempts/attempt.ts';
import type { PendingLogin } from '../attempts/pending-logins.ts';
import { createUnavailableError } from '../login-error.ts';
import { addFacts, requiredReason } from '../login-facts.ts';
import type { LoginService } from '../login-service.ts';
import { grantAfterPassword } from '../new-factor.ts';
import type { Proof } from '../proof.ts';
import { findNeed, requireUsable } from '../prove-factor.ts';
import { randomText, secretDigest } from '../secret-text.ts';
import { type PageRequest, sendTo, setState } from './page-request.ts';

/** What a person may do after the password. Undefined: confirm the login. */
export type NextStep = PendingLogin['next'];

/**
 * Finds out what a person may do whose password was right.
 *
 * @throws LoginError if they may do nothing: only a right password shows why
 */
export async function findNext(page: PageRequest, proof: Proof): Promise<NextStep> {
  const { service, attempt, facts } = page;
  if (attempt.manages !== undefined)
    return findNextOfVisit(page, proof, attempt.manages.invitation);
  const need = await findNeed(service, proof);
  requireUsable(service, need, proof, facts);
  if (need.kind === 'nothing') return undefined;
  facts.reason = requiredReason;
  return { kind: 'factor' };
}

/** Changing factors needs an invitation, or a factor. */
async function findNextOfVisit(
  page: PageRequest,
  proof: Proof,
  invitation: string | undefined,
): Promise<NextStep> {
  const afterPassword = await grantAfterPassword(page, proof, invitation);
  if (afterPassword.kind === 'invited') return { kind: 'manage', grant: afterPassword.grant };
  page.facts.reason = requiredReason;
  return { kind: 'factor' };
}

const paths = { factor: 'factor', manage: 'factors' } as const;

/** Sends the browser to the page of what the person may do. */
export function sendToNext(page: PageRequest, next: NextStep): void {
  sendTo(page, `${page.path}/${next === undefined ? 'confirm' : paths[next.kind]}`);
}

/** A login whose person may do one thing. */
export type LoginWithNext<Kind extends NonNullable<NextStep>['kind']> = PendingLogin & {
  readonly next: Extract<NextStep, { readonly kind: Kind }>;
};

/**
 * Finds the login of this browser. If its person may do something else, it sends the browser there.
 *
 * @returns undefined if the browser was sent somewhere
 */
export async function loginWithNext<Kind extends NonNullable<NextStep>['kind']>(
  page: PageRequest,
  state: BrowserState | undefined,
  kind: Kind,
): Promise<LoginWithNext<Kind> | undefined> {
  const { path, facts } = page;
  const login = await findLogin(page, state);
  if (login === undefined) {
    sendTo(page, path);
    return undefined;
  }
  const { next } = login;
  if (next?.kind !== kind) {
    sendToNext(page, next);
    return undefined;
  }
  const { authenticator, user } = login.proof;
  addFacts(facts, { authenticator, username: user.username });
  return { ...login, next: next as Extract<NextStep, { readonly kind: Kind }> };
}

/**
 * Keeps a challenge for the page that is shown now. It replaces the challenge of the page before.
 *
 * @returns false if the person may not do this any more, such as after a login in another tab
 */
export async function keepChallenge(
  page: PageRequest,
  state: BrowserState,
  stored: PendingLogin,
  challenge: string,
): Promise<boolean> {
  return (await change(page, state, stored, (login) => ({ ...login, challenge }))) !== undefined;
}

/** Takes the challenge of the page that was shown last, so that it is used once. @returns undefined if there is none */
export async function takeChallenge(
  page: PageRequest,
  state: BrowserState,
  stored: PendingLogin,
): Promise<string | undefined> {
  const previousLogin = await change(page, state, stored, ({ challenge, ...login }) =>
    challenge === undefined ? undefined : login,
  );
  return previousLogin?.challenge;
}

/**
 * Changes what a person may do next.
 *
 * @param browser the digest of a new secret, after a proof
 * @returns false if it was not changed
 */
export async function changeNext(
  page: PageRequest,
  state: BrowserState,
  stored: PendingLogin,
  {
    proof,
    next,
    revision = stored.revision,
  }: Pick<PendingLogin, 'proof'> &
    Partial<Pick<PendingLogin, 'revision'>> & { readonly next: NextStep },
  browser = stored.browser,
): Promise<boolean> {
  const previousLogin = await change(
    page,
    state,
    stored,
    ({ challenge: _, next: __, ...login }) => ({
      ...login,
      browser,
      proof,
      revision,
      ...(next && { next }),
    }),
  );
  return previousLogin !== undefined;
}

/** Changes a login, unless someone has logged in or has gone on since it was read: what was proved is not about that login. */
async function change(
  { service, browser, attempt }: PageRequest,
  state: BrowserState,
  stored: PendingLogin,
  make: (login: PendingLogin) => PendingLogin | undefined,
): Promise<PendingLogin | undefined> {
  const secret = findLoginSecret(attempt, state);
  if (secret === undefined) return undefined;
  const isSame = ({ proof, next }: PendingLogin) =>
    isDeepStrictEqual([proof, next], [stored.proof, stored.next]);
  return fromPending(service, () =>
    browser.pending.change(attempt.id, secret, (login) =>
      isSame(login) ? make(login) : undefined,
    ),
  );
}

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

/**
 * Makes a new secret after a proof, so that nothing from before goes on: neither a cookie that someone planted in this browser or
 * received from it, nor a path that someone knows.
 */
export function renewLogin(page: PageRequest, state: BrowserState) {
  const [login, key] = [randomBytes(32).toString('base64url'), randomText(keyLength)];
  const attempt = { ...page.attempt, key };
  return {
    /** The digest of the new secret, for the login in progress. */
    digest: secretDigest(joinLoginSecret(login, key)),
    /** Gives the browser its half of the secret. @returns the page at the path with the other half */
    enter(): PageRequest {
      setState(page, { ...state, login });
      return { ...page, attempt, path: writePath(attempt) };
    },
  };
}

/** Asks the Redis of logins in progress, and logs why it failed. @throws LoginError if it did */
export function fromPending<Result>(
  { logger }: LoginService,
  work: () => Promise<Result>,
): Promise<Result> {
  return work().catch((error: unknown) => {
    logger.warn({ reason: describeCause(error) }, 'login in progress could not be read or written');
    throw createUnavailableError('the store of logins in progress');
  });
}
