import { z } from 'zod';
import type { FactorMethod } from '../../config/second-factor.ts';
import { isEqual, plainCode, randomText, secretDigest } from '../secret-text.ts';
import {
  type FactorRecord,
  type FactorUser,
  hasFactor,
  type ListedFactor,
  listedFactors,
  type PasskeyFactor,
} from './factor-record.ts';
import type { Change, FactorStore } from './factor-store.ts';

/** The maximum number of factors of one method that a user can have. With each app, more guesses are right. */
const maxFactors: Readonly<Record<FactorMethod, number>> = { totp: 3, passkey: 10 };

/** NIST SP 800-63B-4, section 4.2.1.1: a recovery code has at least 64 bits, or is limited in its attempts as these are. */
const recoveryCodeLength = 10;
const recoveryCodes = 10;
/** 80 bits. It is a part of a URL, and people type it at a terminal. */
const invitationLength = 16;

/** Half the length of the code is before the dash. */
function withDash(code: string): string {
  return `${code.slice(0, code.length / 2)}-${code.slice(code.length / 2)}`;
}

export const factorGrant = z.strictObject({
  /** The id of the record that the user had: after a reset, the grant ends. */
  record: z.string(),
  /** The version of that record: after a factor was removed, what it had proved has no effect. */
  version: z.int(),
  /** The digest of the invitation that they came with. Undefined: they have proved a factor. */
  invitation: z.string().exactOptional(),
});

/** The right of a user to change their factors, after they have proved more than the password. */
export type FactorGrant = Readonly<z.infer<typeof factorGrant>>;

/** A new factor was added. */
export interface AddedFactor {
  readonly kind: 'added';
  readonly factor: ListedFactor;
  /** Who invited the user to add it. Undefined: they had another factor. */
  readonly invitedBy: string | undefined;
  /** The right to go on: an invitation is used up. */
  readonly grant: FactorGrant;
  /** New recovery codes, if there were none left. They are shown once. */
  readonly recoveryCodes: readonly string[] | undefined;
}

/** Why a factor was not added. `ended`: the grant is not valid any more. `late`: the time to type the first code is over. */
export type FactorRefusal =
  | { readonly kind: 'ended' | 'late' | 'too-many' | 'duplicate' }
  | {
      readonly kind: 'wrong-code';
      /** By how many minutes the clock of the app differs. Undefined: the code is not a code of another time. */
      readonly minutes: number | undefined;
    };

export type Enrolment = ReturnType<typeof createEnrolment>;

/**
 * Adds and removes second factors. A user needs a grant for it, which the password alone never gives.
 *
 * @param now the wall clock in milliseconds
 */
export function createEnrolment(store: FactorStore, now: () => number) {
  /** Changes a record to which the grant still gives the right. */
  const change = <Result>(
    user: FactorUser,
    grant: FactorGrant,
    decide: (record: FactorRecord) => Change<Result>,
  ) =>
    store.change<Result | { readonly kind: 'ended' }>(user, (record) =>
      record !== undefined && isValidGrant(record, grant, now())
        ? decide(record)
        : { result: { kind: 'ended' } },
    );

  /** Adds a factor to a record that the user may change, and uses up the invitation. */
  const add = (user: FactorUser, grant: FactorGrant, method: FactorMethod, next: MakeFactor) =>
    change<AddedFactor | FactorRefusal>(user, grant, (record) =>
      withAdded(record, grant, method, next),
    );
  return {
    /**
     * Gives a user the right to change their factors.
     *
     * @param invitation what they typed, or what their link contains. Undefined: they have proved a factor just now
     * @returns undefined if there is no such invitation
     */
    grant(
      record: FactorRecord | undefined,
      invitation: string | undefined,
    ): FactorGrant | undefined {
      if (record === undefined) return undefined;
      const grant: FactorGrant = {
        record: record.id,
        version: record.version,
        ...(invitation !== undefined && { invitation: codeDigest(invitation) }),
      };
      return isValidGrant(record, grant, now()) ? grant : undefined;
    },
    add,
    addPasskey: (
      user: FactorUser,
      grant: FactorGrant,
      key: Omit<PasskeyFactor, 'id' | 'addedAt' | 'usedAt'>,
    ): Promise<AddedFactor | FactorRefusal> =>
      add(user, grant, 'passkey', (record, id) => {
        if (record.passkeys.some(({ credential }) => credential === key.credential))
          return 'duplicate';
        return { passkeys: [...record.passkeys, { ...key, id, addedAt: now() }] };
      }),
    /** Removes a factor of a user who has proved one, unless it is the last one: without it, the user could not log in. */
    remove: (user: FactorUser, grant: FactorGrant, id: string) =>
      change<
        | { readonly kind: 'unknown' | 'last' | 'ended' }
        | { readonly kind: 'removed'; readonly grant: FactorGrant }
      >(user, grant, (record) => {
        if (grant.invitation !== undefined) return { result: { kind: 'ended' } };
        const changed = withoutFactor(record, id);
        const count = listedFactors(changed).length;
        if (count === listedFactors(record).length) return { result: { kind: 'unknown' } };
        if (count === 0) return { result: { kind: 'last' } };
        return { record: changed, result: { kind: 'removed', grant: makeGrant(changed) } };
      }),
    /** Makes new recovery codes. Earlier codes are not valid any more. */
    renewRecoveryCodes: (user: FactorUser, grant: FactorGrant) =>
      change<
        | { readonly kind: 'ended' }
        | {
            readonly kind: 'renewed';
            readonly recoveryCodes: readonly string[];
            readonly grant: FactorGrant;
          }
      >(user, grant, (record) => {
        // An invitation lets its owner add one factor, and nothing else: otherwise someone could use it, and leave it valid.
        if (grant.invitation !== undefined) return { result: { kind: 'ended' } };
        const codes = newRecoveryCodes();
        const changed = {
          ...record,
          recovery: codes.map(codeDigest),
          version: record.version + 1,
        };
        const newGrant = makeGrant(changed);
        return {
          record: changed,
          result: { kind: 'renewed', recoveryCodes: codes, grant: newGrant },
        };
      }),
  };
}

/** Removes a factor whose login has ended while it was added, even the last one, and the recovery codes that came with it. */
export async function takeBackFactor(
  store: FactorStore,
  user: FactorUser,
  { factor, grant, recoveryCodes: codes }: AddedFactor,
): Promise<void> {
  await store.change<undefined>(user, (record) => {
    if (record?.id !== grant.record) return { result: undefined };
    const remaining = withoutFactor(record, factor.id);
    return { record: codes ? { ...remaining, recovery: [] } : remaining, result: undefined };
  });
}

/** Makes the part of a record that has the new factor. @param id names the new factor */
type MakeFactor = (record: FactorRecord, id: string) => Partial<FactorRecord> | 'duplicate';

function withAdded(
  { invitation, ...record }: FactorRecord,
  grant: FactorGrant,
  method: FactorMethod,
  next: MakeFactor,
): Change<AddedFactor | FactorRefusal> {
  const count = method === 'totp' ? record.totp.length : record.passkeys.length;
  if (count >= maxFactors[method]) return { result: { kind: 'too-many' } };
  const id = randomText(8);
  const added = next(record, id);
  if (added === 'duplicate') return { result: { kind: 'duplicate' } };
  const codes = record.recovery.length === 0 ? newRecoveryCodes() : undefined;
  const changed = {
    ...record,
    ...added,
    ...(codes && { recovery: codes.map(codeDigest) }),
    wrongCodes: 0,
  };
  const factor = listedFactors(changed).find((factor) => factor.id === id);
  if (factor === undefined) throw new Error('the new factor is not in the record');
  const invitedBy = grant.invitation === undefined ? undefined : invitation?.by;
  const newGrant = makeGrant(changed);
  return {
    record: changed,
    result: { kind: 'added', factor, invitedBy, grant: newGrant, recoveryCodes: codes },
  };
}

function withoutFactor(record: FactorRecord, id: string): FactorRecord {
  const removeFrom = <One extends { readonly id: string }>(factors: readonly One[]) =>
    factors.filter((factor) => factor.id !== id);
  return {
    ...record,
    totp: removeFrom(record.totp),
    passkeys: removeFrom(record.passkeys),
    version: record.version + 1,
  };
}

/** Gives the right to go on to a user who has proved a factor. */
function makeGrant({ id, version }: FactorRecord): FactorGrant {
  return { record: id, version };
}

/**
 * Whether a grant still gives the right to change a record: it was not reset, no factor was removed, and the invitation was not
 * used or replaced.
 */
function isValidGrant(record: FactorRecord, grant: FactorGrant, now: number): boolean {
  if (record.id !== grant.record || record.version !== grant.version) return false;
  if (grant.invitation === undefined) return hasFactor(record);
  const { digest = '', until = 0 } = record.invitation ?? {};
  return isEqual(digest, grant.invitation) && until > now;
}

function newRecoveryCodes(): readonly string[] {
  return Array.from({ length: recoveryCodes }, () => withDash(randomText(recoveryCodeLength)));
}

/** The digest of a recovery code or of an invitation, by its characters alone. */
const codeDigest = (code: string) => secretDigest(plainCode(code));

interface NewInvitation {
  readonly by: string;
  readonly reason: string | undefined;
  readonly until: number;
}

/**
 * Invites a user to add a factor. A new invitation replaces an earlier invitation.
 *
 * @returns the code, which is shown once
 */
export async function createInvitation(
  store: FactorStore,
  user: FactorUser,
  { by: admin, reason, until }: NewInvitation,
  now: number,
): Promise<string> {
  const code = randomText(invitationLength);
  await store.change(user, (record) => ({
    record: {
      id: randomText(16),
      totp: [],
      passkeys: [],
      recovery: [],
      version: 0,
      wrongCodes: 0,
      wrongSince: now,
      ...record,
      user,
      invitation: {
        digest: codeDigest(code),
        until,
        at: now,
        by: admin,
        ...(reason !== undefined && { reason }),
      },
    },
    result: undefined,
  }));
  return code;
}
