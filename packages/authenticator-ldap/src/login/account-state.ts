import { AuthenticatorError, type RejectionReason } from '@sallyport/authenticator';
import type { Entry } from '../connection/types.ts';
import { creationTime, generalizedTime, type ReadTime, shadowDay, timeOf, windowsTime } from './account-times.ts';
import { onlyText } from './entry-values.ts';

/** What the entry of a user says about the account. */
export interface AccountState {
  /** Left out: nothing speaks against the user. */
  readonly refusal?: { readonly reason: RejectionReason; readonly attribute: string };
  /** The attributes that the entry shows of those that can end an account or a password. Nearly each entry shows its creation. */
  readonly seen: readonly string[];
}

interface Moments {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** When the password was checked, milliseconds since 1970. Left out: no matter when it was changed. */
  readonly since?: number;
}

interface Rule {
  readonly attribute: string;
  readonly reason: RejectionReason;
  applies(entry: Entry, moments: Moments): boolean;
}

/** Bits of userAccountControl and msDS-User-Account-Control-Computed: MS-ADTS section 2.2.16. */
const bits = { disabled: 0x2, locked: 0x10, lasting: 0x1_0000, passwordExpired: 0x80_0000 } as const;

const control = 'userAccountControl';
/** Active Directory computes it from its own lockout duration and password age. */
const computed = 'msDS-User-Account-Control-Computed';

const hasBit = (attribute: string, bit: number) => (entry: Entry) => (bitsOf(entry, attribute) & bit) !== 0;

/** @throws AuthenticatorError `failed` when the value is no number */
function bitsOf(entry: Entry, attribute: string): number {
  const text = onlyText(entry, attribute) ?? '0';
  if (/^-?\d{1,10}$/.test(text)) return Number(text);
  throw new AuthenticatorError(
    'failed',
    `the attribute ${attribute} of ${entry.dn} is no number: look at the entry there`,
  );
}

/** @throws AuthenticatorError `failed` when the value is neither true nor false: it may be meant to lock the account */
const isTrue = (attribute: string) => (entry: Entry) => {
  const text = onlyText(entry, attribute)?.toLowerCase() ?? 'false';
  if (text === 'true' || text === 'false') return text === 'true';
  const fix = 'write TRUE or FALSE there';
  throw new AuthenticatorError('failed', `the attribute ${attribute} of ${entry.dn} is no flag: ${fix}`);
};

const isOver =
  (attribute: string, read: ReadTime) =>
  (entry: Entry, { now }: Moments) =>
    (timeOf(entry, attribute, read) ?? Number.POSITIVE_INFINITY) <= now;

const isToCome =
  (attribute: string, read: ReadTime) =>
  (entry: Entry, { now }: Moments) =>
    (timeOf(entry, attribute, read) ?? Number.NEGATIVE_INFINITY) > now;

/** Whole seconds are rounded down, so a change in the second of the login counts as one before it. */
const isChanged =
  (attribute: string, read: ReadTime) =>
  (entry: Entry, { since }: Moments) =>
    since !== undefined && (timeOf(entry, attribute, read) ?? Number.NEGATIVE_INFINITY) > since;

const rule = (attribute: string, reason: RejectionReason, applies: Rule['applies']): Rule => ({
  attribute,
  reason,
  applies,
});

/** An account that was created after the login is another one of the same name. The rules for its state name a better reason. */
const creationRules: readonly Rule[] = [
  rule('createTimestamp', 'unknown-user', isChanged('createTimestamp', creationTime)),
  rule('whenCreated', 'unknown-user', isChanged('whenCreated', creationTime)),
];

/** What each directory has, in the order in which a refusal names its reason. An entry shows a few of these at most. */
const stateRules: readonly Rule[] = [
  rule(control, 'disabled', hasBit(control, bits.disabled)),
  // AD LDS has no userAccountControl.
  rule(computed, 'disabled', hasBit(computed, bits.disabled)),
  rule('nsAccountLock', 'disabled', isTrue('nsAccountLock')),
  rule('ds-pwp-account-disabled', 'disabled', isTrue('ds-pwp-account-disabled')),
  rule('pwdStartTime', 'disabled', isToCome('pwdStartTime', generalizedTime)),
  rule('accountExpires', 'expired', isOver('accountExpires', windowsTime)),
  rule('pwdEndTime', 'expired', isOver('pwdEndTime', generalizedTime)),
  rule('ds-pwp-account-expiration-time', 'expired', isOver('ds-pwp-account-expiration-time', generalizedTime)),
  rule('krbPrincipalExpiration', 'expired', isOver('krbPrincipalExpiration', generalizedTime)),
  rule('shadowExpire', 'expired', isOver('shadowExpire', shadowDay)),
  rule(computed, 'locked', hasBit(computed, bits.locked)),
  // Without the computed attribute it is not known whether the lock has ended.
  rule(
    'lockoutTime',
    'locked',
    (entry) => !shows(entry, computed) && timeOf(entry, 'lockoutTime', windowsTime) !== undefined,
  ),
  // Whether it has ended depends on a policy that the entry need not name. The next login removes one that has.
  rule('pwdAccountLockedTime', 'locked', (entry) => onlyText(entry, 'pwdAccountLockedTime') !== undefined),
  rule('pwdAccountTmpLockoutEnd', 'locked', isToCome('pwdAccountTmpLockoutEnd', generalizedTime)),
  rule('accountUnlockTime', 'locked', isLockedUntil),
  rule('pwdLastSet', 'password-changed', isChanged('pwdLastSet', windowsTime)),
  rule('pwdChangedTime', 'password-changed', isChanged('pwdChangedTime', generalizedTime)),
  rule('pwdUpdateTime', 'password-changed', isChanged('pwdUpdateTime', generalizedTime)),
  rule('krbLastPwdChange', 'password-changed', isChanged('krbLastPwdChange', generalizedTime)),
  rule('shadowLastChange', 'password-changed', isChanged('shadowLastChange', shadowDay)),
  rule(computed, 'password-expired', hasBit(computed, bits.passwordExpired)),
  rule('pwdLastSet', 'password-expired', mustChange),
  rule('pwdReset', 'password-expired', isTrue('pwdReset')),
  rule('passwordExpirationTime', 'password-expired', isOver('passwordExpirationTime', generalizedTime)),
];

/** 389-DS writes the beginning of 1970 for a lock that only an administrator ends. */
function isLockedUntil(entry: Entry, { now }: Moments): boolean {
  const time = timeOf(entry, 'accountUnlockTime', generalizedTime);
  return time !== undefined && (time === 0 || time > now);
}

/**
 * pwdLastSet is 0 when the password must be changed, unless it never expires. It then hides when the password was changed, so
 * after a login it always counts.
 */
function mustChange(entry: Entry, { since }: Moments): boolean {
  const isZero = shows(entry, 'pwdLastSet') && onlyText(entry, 'pwdLastSet') === '0';
  return isZero && (since !== undefined || !hasBit(control, bits.lasting)(entry));
}

function shows({ attributes }: Entry, attribute: string): boolean {
  return (attributes.get(attribute.toLowerCase()) ?? []).length > 0;
}

/** The attributes that {@link judgeAccount} reads. A server leaves out those that it does not have. */
export const accountAttributes: readonly string[] = attributesOf([...stateRules, ...creationRules]);

const stateAttributes = attributesOf(stateRules);

function attributesOf(rules: readonly Rule[]): readonly string[] {
  return [...new Set(rules.map(({ attribute }) => attribute))];
}

/**
 * Judges an account by its entry alone, as a login would by the answer to its bind.
 *
 * @throws AuthenticatorError `failed` when an attribute can't be read
 */
export function judgeAccount(entry: Entry, moments: Moments): AccountState {
  const seen = stateAttributes.filter((attribute) => shows(entry, attribute));
  const found = [...stateRules, ...creationRules].find(
    ({ attribute, applies }) => shows(entry, attribute) && applies(entry, moments),
  );
  return { ...(found && { refusal: { reason: found.reason, attribute: found.attribute } }), seen };
}

/** For an operator. */
export function accountText({ refusal, seen }: AccountState): string {
  if (refusal) return `account state: ${refusal.reason}, by the attribute ${refusal.attribute}`;
  if (seen.length === 0) return 'account state: not known, the entry shows none of its attributes';
  return `account state: nothing against the user in ${seen.join(', ')}`;
}
