import type { Added, NotAdded } from './factors/enrolment.ts';
import {
  duplicateFactor,
  enrolmentEnded,
  tooManyFactors,
  wrongEnrolmentCode,
} from './login-error.ts';
import type { LoginRequest } from './login-request.ts';

/** The name of a factor of a user who gave it none. */
export const defaultLabels = { totp: 'authenticator app', passkey: 'passkey' } as const;

/** @throws LoginError if the factor was not added */
export function addedOrThrow(
  { known }: Pick<LoginRequest, 'known'>,
  result: Added | NotAdded,
): Added {
  if (result.kind === 'added') {
    known.invitedBy = result.invitedBy;
    return result;
  }
  known.reason = result.kind;
  if (result.kind === 'wrong-code') throw wrongEnrolmentCode(result.minutes);
  if (result.kind === 'too-many') throw tooManyFactors();
  if (result.kind === 'duplicate') throw duplicateFactor();
  throw enrolmentEnded();
}
