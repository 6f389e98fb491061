import type { RejectionReason } from '@sallyport/authenticator';
import type { LdapEntry } from '../connection/types.ts';
import type { Filter } from '../filter/filter.ts';
import { loginError } from '../login-error.ts';
import { onlyText } from './entry-values.ts';

/** What the entry of a user says about the account. */
export interface AccountState {
  /** Left out: nothing speaks against the user. */
  readonly refusal?: { readonly reason: RejectionReason; readonly attribute: string };
  /** The attributes that the entry shows of those that can end an account or a password. Nearly each entry shows its creation. */
  readonly seen: readonly string[];
  /** Those that it has, since it shows others that always come with them, and that the service account is not allowed to read. */
  readonly hidden: readonly string[];
}

interface Moments {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** When the password was checked, milliseconds since 1970. Left out: no matter when it was changed. */
  readonly since?: number;
  /** How long the password policy of the user locks accounts, in milliseconds. Left out: for ever, or it is not known. */
  readonly lockoutDuration?: number;
  /** Another authenticator checked the user, so it does not matter whether the account can log in with a password. */
  readonly isJoin?: boolean;
}

/** Whether a value of an attribute ends the account or the password. @throws Unreadable */
type Ends = (text: string, moments: Moments, entry: LdapEntry) => boolean;

/** What is not understood may be meant to end an account. The message follows "the attribute … is". */
class Unreadable extends Error {}

const isTrue: Ends = (text) => {
  const flag = text.toLowerCase();
  if (flag !== 'true' && flag !== 'false')
    throw new Unreadable('no flag: write TRUE or FALSE there');
  return flag === 'true';
};

const hasBit =
  (bit: number): Ends =>
  (text) => {
    if (!/^-?\d{1,10}$/.test(text)) throw new Unreadable('no number: look at the entry there');
    return (Number(text) & bit) !== 0;
  };

const isTime =
  (readTime: ReadTime, ends: (time: number, moments: Moments) => boolean): Ends =>
  (text, moments) => {
    const time = readTime(text);
    if (Number.isNaN(time)) throw new Unreadable('no time: look at the entry there');
    return time !== undefined && ends(time, moments);
  };

const isOver = (readTime: ReadTime) => isTime(readTime, (time, { now }) => time <= now);
const isToCome = (readTime: ReadTime) => isTime(readTime, (time, { now }) => time > now);
/** Whole seconds are rounded down, so a change in the second of the login counts as one before it. */
const isChanged = (readTime: ReadTime) =>
  isTime(readTime, (time, { since = Number.POSITIVE_INFINITY }) => time > since);

/** When OpenLDAP locked the account. */
export const lockAttribute = 'pwdAccountLockedTime';

const control = 'userAccountControl';
/** Active Directory computes it from its own lockout duration and password age. */
const computed = 'msDS-User-Account-Control-Computed';

/** Of `control` and `computed`: MS-ADTS section 2.2.16. */
const bits = {
  disabled: 0x2,
  locked: 0x10,
  lasting: 0x1_0000,
  smartCard: 0x4_0000,
  passwordExpired: 0x80_0000,
} as const;

/** Active Directory has all of these for each account. A global catalog does not. */
const inEachAccount = [control, computed, 'pwdLastSet', 'accountExpires'] as const;

type Rule = readonly [attribute: string, reason: RejectionReason, ends: Ends];

/** What each directory has, in the order in which a refusal names its reason. An entry shows a few of these at most. */
const rules: readonly Rule[] = [
  [control, 'disabled', hasBit(bits.disabled)],
  // Active Directory replaces its password by a random one, so its sessions began before. It can still get tokens elsewhere.
  [
    control,
    'disabled',
    (text, moments, entry) => !moments.isJoin && hasBit(bits.smartCard)(text, moments, entry),
  ],
  // AD LDS has no userAccountControl.
  [computed, 'disabled', hasBit(bits.disabled)],
  ['nsAccountLock', 'disabled', isTrue],
  ['ds-pwp-account-disabled', 'disabled', isTrue],
  ['pwdStartTime', 'disabled', isToCome(generalizedTime)],
  ['accountExpires', 'expired', isOver(windowsTime)],
  ['pwdEndTime', 'expired', isOver(generalizedTime)],
  ['ds-pwp-account-expiration-time', 'expired', isOver(generalizedTime)],
  ['krbPrincipalExpiration', 'expired', isOver(generalizedTime)],
  ['shadowExpire', 'expired', isOver(shadowDay)],
  [computed, 'locked', hasBit(bits.locked)],
  ['lockoutTime', 'locked', isLockedOut],
  [lockAttribute, 'locked', isLockedStill],
  ['pwdAccountTmpLockoutEnd', 'locked', isToCome(generalizedTime)],
  // 389-DS writes the beginning of 1970 for a lock that only an administrator ends.
  [
    'accountUnlockTime',
    'locked',
    isTime(generalizedTime, (time, { now }) => time === 0 || time > now),
  ],
  ['pwdLastSet', 'password-changed', isChanged(windowsTime)],
  ['pwdChangedTime', 'password-changed', isChanged(generalizedTime)],
  ['pwdUpdateTime', 'password-changed', isChanged(generalizedTime)],
  ['krbLastPwdChange', 'password-changed', isChanged(generalizedTime)],
  ['shadowLastChange', 'password-changed', isChanged(shadowDay)],
  [computed, 'password-expired', hasBit(bits.passwordExpired)],
  ['pwdLastSet', 'password-expired', mustChange],
  ['pwdReset', 'password-expired', isTrue],
  ['passwordExpirationTime', 'password-expired', isOver(generalizedTime)],
  // An account that was created after the login is another one of the same name. All other rules name a better reason.
  ['createTimestamp', 'unknown-user', isChanged(creationTime)],
  ['whenCreated', 'unknown-user', isChanged(creationTime)],
];

/** Only a login removes a lock that has ended. A lock of before 1970, as 000001010000Z, has no end: slapo-ppolicy(5). */
function isLockedStill(text: string, { now, lockoutDuration }: Moments): boolean {
  const since = generalizedTime(text);
  return !(since > 0) || lockoutDuration === undefined || since + lockoutDuration > now;
}

/** Without the computed attribute it is not known whether the lock has ended. */
function isLockedOut(text: string, moments: Moments, entry: LdapEntry): boolean {
  return !shows(entry, computed) && isTime(windowsTime, () => true)(text, moments, entry);
}

/**
 * pwdLastSet is 0 when the password must be changed, unless it never expires. It then hides when the password was changed, so
 * after a login it always counts.
 */
function mustChange(text: string, moments: Moments, entry: LdapEntry): boolean {
  if (text !== '0') return false;
  return (
    moments.since !== undefined ||
    !hasBit(bits.lasting)(onlyText(entry, control) ?? '0', moments, entry)
  );
}

function shows({ attributes }: LdapEntry, attribute: string): boolean {
  return (attributes.get(attribute.toLowerCase()) ?? []).length > 0;
}

/** The attributes that {@link readAccountState} reads. A server leaves out those that it does not have. */
export const accountAttributes: readonly string[] = [
  ...new Set(rules.map(([attribute]) => attribute)),
];

/** Matches an entry with `mark`, which such a server sets on each entry, and without `lock`. */
const withoutLock = (mark: string, lock: string): Filter => ({
  kind: 'and',
  filters: [
    { kind: 'present', attribute: mark },
    { kind: 'not', filter: { kind: 'present', attribute: lock } },
  ],
});

/**
 * Matches the entry of a user who is not locked, where the service account may search for locks: OpenLDAP with its password policy, and
 * 389-DS. A filter on an attribute that the account may not search, or that the server does not know, is neither true nor false, and nor is
 * its opposite (RFC 4511 section 4.5.1.7). Only 389-DS takes an attribute that it does not know as absent, so each server has a mark.
 */
export const visiblyUnlocked: Filter = {
  kind: 'or',
  filters: [withoutLock('entryCSN', lockAttribute), withoutLock('nsUniqueId', 'nsAccountLock')],
};

/** Reads the state of an account from its entry alone. @throws AuthenticatorError `failed` when an attribute can't be read */
export function readAccountState(entry: LdapEntry, moments: Moments): AccountState {
  const stateAttributes = accountAttributes.filter(
    (attribute) => !/^(createTimestamp|whenCreated)$/.test(attribute),
  );
  const visible = stateAttributes.filter((attribute) => shows(entry, attribute));
  const isActiveDirectory = inEachAccount.some((attribute) => shows(entry, attribute));
  const hidden = isActiveDirectory
    ? inEachAccount.filter((attribute) => !shows(entry, attribute))
    : [];
  for (const [attribute, reason, ends] of rules) {
    const text = shows(entry, attribute) ? onlyText(entry, attribute) : undefined;
    try {
      if (text !== undefined && ends(text, moments, entry))
        return { refusal: { reason, attribute }, seen: visible, hidden };
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      throw loginError(`the attribute ${attribute} of ${entry.dn} is ${error.message}`);
    }
  }
  return { seen: visible, hidden };
}

/**
 * OpenLDAP's flag for a password that must be changed. Without `pwdMustChange` in the user's policy, which the entry does not
 * show, the bind succeeds all the same: the first review of a session would end it then, so the login reads this flag as well.
 */
export const resetFlag = 'pwdReset';

/** Reads the account state from that flag alone. @throws AuthenticatorError as {@link readAccountState} */
export function readReset(entry: LdapEntry): AccountState {
  const flag = entry.attributes.get(resetFlag.toLowerCase()) ?? [];
  return readAccountState(
    { ...entry, attributes: new Map([[resetFlag.toLowerCase(), flag]]) },
    { now: Date.now() },
  );
}

export function accountText({ refusal, seen: visible, hidden }: AccountState): string {
  if (refusal) return `account state: ${refusal.reason}, by the attribute ${refusal.attribute}`;
  if (visible.length === 0)
    return 'account state: not known, the entry shows none of its attributes';
  const unreadable =
    hidden.length > 0 ? `; the service account can't read ${hidden.join(', ')}` : '';
  return `account state: nothing against the user in ${visible.join(', ')}${unreadable}`;
}

/** Milliseconds since 1970; undefined for no time, NaN for what is none. */
type ReadTime = (text: string) => number | undefined;

const generalized =
  /^(\d{4})(\d\d)(\d\d)([01]\d|2[0-3])(?:(\d\d)([0-5]\d|60)?)?(?:[.,](\d+))?(?:Z|([+-]\d\d)(\d\d)?)$/;

/** RFC 4517 section 3.3.13: `20310501120000Z`, also with a fraction or an offset. NaN for any other text, and for month 13. */
export function generalizedTime(text: string): number {
  const [, year, month, day, hour, minute, second, fraction = '0', hours = '+00', minutes = '00'] =
    generalized.exec(text) ?? [];
  const date = `${year}-${month}-${day}`;
  // Node takes February 30 for March 2.
  if (new Date(`${date}T00:00:00Z`).getUTCDate() !== Number(day)) return Number.NaN;
  const unit = second !== undefined ? 1_000 : minute !== undefined ? 60_000 : 3_600_000;
  const start = Date.parse(`${date}T${hour}:${minute ?? '00'}:00${hours}:${minutes}`);
  return start + Number(second ?? 0) * 1_000 + Number(`0.${fraction}`) * unit;
}

const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/;

/** A generalized time, or one of RFC 3339, as LLDAP has written them. NaN for any other text. */
function creationTime(text: string): number {
  return rfc3339.test(text) ? Date.parse(text) : generalizedTime(text);
}

/** From 1601 to 1970, in milliseconds. */
const epochOfWindows = 11_644_473_600_000n;

/**
 * Active Directory's times: hundreds of nanoseconds since 1601 (MS-DTYP section 2.3.3). Both 0 and the greatest number mean
 * none (MS-ADA1 section 2.1). NaN for any other text.
 */
export function windowsTime(text: string): number | undefined {
  if (!/^-?\d{1,19}$/.test(text)) return Number.NaN;
  const ticks = BigInt(text);
  if (ticks === 0n || ticks >= 0x7fff_ffff_ffff_ffffn) return undefined;
  return Number(ticks / 10_000n - epochOfWindows);
}

/** Days since 1970 (RFC 2307). 0 and -1 mean none: shadow(5) warns of 0. NaN for any other text. */
export function shadowDay(text: string): number | undefined {
  if (!/^-?\d{1,7}$/.test(text)) return Number.NaN;
  const day = Number(text);
  return day > 0 ? day * 86_400_000 : undefined;
}
