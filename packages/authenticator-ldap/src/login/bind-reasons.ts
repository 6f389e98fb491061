import {
  type AttemptOutcome,
  AuthenticatorError,
  type RejectionReason,
} from '@sallyport/authenticator';
import type { BindResult } from '../connection/types.ts';

/** What the answer to a user's bind says about the password and the account. `attempt` is for the lockout guard. */
export type BindOutcome =
  | { readonly kind: 'authenticated'; readonly attempt: 'accepted' }
  | Refusal
  | {
      readonly kind: 'unchecked';
      readonly error: AuthenticatorError;
      readonly attempt: 'unavailable';
    };

interface Refusal {
  readonly kind: 'rejected';
  readonly reason: RejectionReason;
  readonly attempt: AttemptOutcome;
}

/**
 * Reads the answer to the bind of a user. Only code 0 without any error authenticates, and an
 * unknown code is unchecked. A refusal with unknown details stays a refusal: the directory has
 * counted it as one.
 *
 * `attempt` is `accepted` even for a refusal that only a right password gets: who knows the
 * password does not guess. It is `unavailable` for one that any password gets: the directory has
 * not looked at it, so it counts nowhere and is sent again. Otherwise the right password of a
 * locked account would stay refused when the account is unlocked.
 */
export function classifyBind(result: BindResult): BindOutcome {
  switch (result.code) {
    case 0:
      return classifySuccess(result);
    case 49:
      return (
        policyRefusal(result) ??
        dataRefusal(result.diagnosticMessage) ??
        refused('invalid-credentials')
      );
    case 19:
      return policyRefusal(result) ?? refused('locked', 'unavailable');
    case 53:
      // For an inactive account 389-DS adds a password policy control that says that it is locked.
      return refused('disabled', 'unavailable');
    case 8:
    case 13:
      return unchecked(
        'unavailable',
        `the server takes passwords only over TLS (result code ${result.code}): use an ldaps:// URL or StartTLS`,
      );
    case 51:
    case 52:
      return unchecked(
        'unavailable',
        `the server can't check passwords now (result code ${result.code})`,
      );
    default:
      return unchecked(
        'failed',
        `the bind of a user ended in result code ${result.code}, which is neither a success nor a refusal: ` +
          "look at the directory's own log",
      );
  }
}

/**
 * Reads an answer with code 0. A password that must be changed first comes with it, and is no login
 * (rule 6 of RULES.md).
 */
function classifySuccess(result: BindResult): BindOutcome {
  const refusal = policyRefusal(result);
  if (refusal !== undefined) return refusal;
  if (result.passwordPolicyError === undefined)
    return { kind: 'authenticated', attempt: 'accepted' };
  return unchecked(
    'failed',
    result.passwordPolicyError === 'unreadable'
      ? "the directory accepted a bind with a password policy control that can't be read"
      : `the directory accepted a bind with password policy error ${result.passwordPolicyError}, which has no meaning there`,
  );
}

/**
 * Reads the controls of draft-behera-ldap-password-policy-11 section 6.2, and of 389-DS for a
 * password that must be changed.
 */
function policyRefusal({
  passwordPolicyError,
  passwordMustChange,
}: BindResult): Refusal | undefined {
  // A server sends passwordExpired and changeAfterReset only after a right password, accountLocked after any.
  if (passwordPolicyError === 0 || passwordPolicyError === 2)
    return refused('password-expired', 'accepted');
  if (passwordPolicyError === 1) return refused('locked', 'unavailable');
  // With a control that is not understood, a code 0 must stay unchecked.
  if (passwordMustChange && passwordPolicyError === undefined)
    return refused('password-expired', 'accepted');
  return undefined;
}

/**
 * The codes of Active Directory, which are Windows error numbers in hexadecimal:
 * `80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data 52e, v3839`
 *
 * 525 and 775 are sent for any password, and all others but 52e only for a right one.
 */
const dataCodes: ReadonlyMap<string, Refusal> = new Map([
  ['52e', refused('invalid-credentials')],
  // There is no such user: between the search and the bind the entry was deleted.
  ['525', refused('invalid-credentials', 'unavailable')],
  // The user may not log in at this hour, or from this workstation.
  ['530', refused('disabled', 'accepted')],
  ['531', refused('disabled', 'accepted')],
  ['533', refused('disabled', 'accepted')],
  ['532', refused('password-expired', 'accepted')],
  ['773', refused('password-expired', 'accepted')],
  ['701', refused('expired', 'accepted')],
  ['775', refused('locked', 'unavailable')],
]);

const dataCode = /\bAcceptSecurityContext error, data ([0-9a-f]{1,8})(?![0-9a-z])/i;

function dataRefusal(diagnosticMessage: string): Refusal | undefined {
  const code = dataCode.exec(diagnosticMessage)?.[1];
  return code === undefined ? undefined : dataCodes.get(code.toLowerCase());
}

function refused(reason: RejectionReason, attempt: AttemptOutcome = 'refused'): Refusal {
  return { kind: 'rejected', reason, attempt };
}

function unchecked(code: AuthenticatorError['code'], message: string): BindOutcome {
  return {
    kind: 'unchecked',
    error: new AuthenticatorError(code, message),
    attempt: 'unavailable',
  };
}
