import type { RejectionReason } from '@sallyport/authenticator';
import { asError } from '../base/logging/error-fields.ts';
import { findLoginEnd, writeUnlessEnded } from './ended-login.ts';
import {
  type AddedFactor,
  type FactorGrant,
  type FactorRefusal,
  takeBackFactor,
} from './factors/enrolment.ts';
import type { FactorNeed } from './factors/second-factor.ts';
import type { BegunApp } from './factors/totp-enrolment.ts';
import {
  duplicateFactor,
  enrolmentEnded,
  invitationRequired,
  noSecondFactor,
  tooManyFactors,
  uncheckedLogin,
  wrongEnrolmentCode,
  wrongInvitation,
} from './login-error.ts';
import { requiredReason } from './login-facts.ts';
import type { LoginRequest } from './login-request.ts';
import { type Proof, type ProvenLogin, toBegunLogin } from './proof.ts';
import {
  factorUser,
  findNeed,
  fromFactors,
  requireFactors,
  requireUsable,
} from './prove-factor.ts';
import { findUserToday, type ProvenUser } from './user-today.ts';

type FactorRequest = Pick<LoginRequest, 'service' | 'facts'>;

/** What a user who wants to change their factors has, or must prove in place of an invitation. */
type PasswordOutcome =
  | { readonly kind: 'invited'; readonly grant: FactorGrant }
  | Extract<FactorNeed, { readonly kind: 'factor' }>;

/**
 * Finds out by what a user may change their factors whose password was right. An invitation is not used up before a factor is
 * added with it.
 *
 * @throws LoginError for a user who has neither an invitation nor a factor, or whose record can't be used
 */
export async function grantAfterPassword(
  { service, facts }: FactorRequest,
  proof: Proof,
  invitation: string | undefined,
): Promise<PasswordOutcome> {
  const { secondFactor, enrolment } = requireFactors(service);
  facts.username = proof.user.username;
  if (!secondFactor.policy.isCovered(proof.authenticator)) throw noSecondFactor();
  const need = await findNeed(service, proof);
  // Who has no factor yet, or none by this name, may have an invitation.
  if (need.kind === 'refused' && need.reason === 'foreign-record')
    requireUsable(service, need, proof, facts);
  if (invitation !== undefined) {
    const record = await fromFactors(service, () => secondFactor.store.read(factorUser(proof)));
    const grant = enrolment.grant(record, invitation);
    if (grant !== undefined) return { kind: 'invited', grant };
  }
  if (need.kind === 'factor') return need;
  facts.reason = invitation === undefined ? requiredReason : 'wrong-invitation';
  throw invitation === undefined ? invitationRequired() : wrongInvitation();
}

/** Refuses a user who was blocked or revoked since the revision. @throws LoginError */
export function requireUnrevoked({ service, facts }: FactorRequest, login: ProvenLogin): void {
  const reason = findLoginEnd(service, toBegunLogin(login));
  if (reason === undefined) return;
  facts.reason = reason;
  throw enrolmentEnded();
}

/**
 * Adds a factor, unless its user is blocked, revoked or refused by the directory before it is added.
 *
 * @throws LoginError, also when the directory could not be asked, and what `add` throws
 */
export async function addUnlessEnded<Result extends { readonly kind: string }>(
  { service, facts, signal }: FactorRequest & Pick<LoginRequest, 'signal'>,
  { proof, revision }: { readonly proof: ProvenUser; readonly revision: number },
  add: () => Promise<Result | AddedFactor>,
): Promise<Result | AddedFactor> {
  const { store } = requireFactors(service).secondFactor;
  const refuse = (reason: RejectionReason) => {
    facts.reason = reason;
    return enrolmentEnded();
  };
  // No review follows that would ask. And the groups of a user who adds an app at a terminal were not kept.
  const today = await findUserToday(service, proof, signal);
  if ('reason' in today) throw refuse(today.reason);
  if ('failure' in today) {
    const { authenticator } = proof;
    const { message: reason } = asError(today.failure);
    service.logger.warn({ authenticator, reason }, 'authenticator could not check a login');
    throw uncheckedLogin(false);
  }
  const login = { user: today.user, revision };
  return writeUnlessEnded(service, login, {
    write: add,
    takeBack: async (result) => {
      if ('factor' in result) await takeBackFactor(store, factorUser(proof), result);
    },
    refuse,
  });
}

/**
 * Adds an authenticator app, as {@link addUnlessEnded} does. An enrolment that has expired asks no directory.
 *
 * @throws LoginError
 */
export async function addApp(
  request: FactorRequest & Pick<LoginRequest, 'signal'>,
  login: { readonly proof: ProvenUser; readonly revision: number },
  begun: BegunApp,
  code: string,
): Promise<AddedFactor | FactorRefusal> {
  const { apps } = requireFactors(request.service);
  if (apps.hasExpired(begun)) return { kind: 'late' };
  return addUnlessEnded(request, login, () => apps.finish(begun, code));
}

/** The name of a factor of a user who gave it none. */
export const defaultLabels = { totp: 'authenticator app', passkey: 'passkey' } as const;

/** @throws LoginError if the factor was not added */
export function addedOrThrow(
  { facts }: FactorRequest,
  result: AddedFactor | FactorRefusal,
): AddedFactor {
  if (result.kind === 'added') {
    facts.invitedBy = result.invitedBy;
    return result;
  }
  facts.reason = result.kind;
  if (result.kind === 'wrong-code') throw wrongEnrolmentCode(result.minutes);
  if (result.kind === 'too-many') throw tooManyFactors();
  if (result.kind === 'duplicate') throw duplicateFactor();
  throw enrolmentEnded();
}
