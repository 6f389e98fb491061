import type { Attempts, RejectionReason } from '@sallyport/authenticator';
import type { FactorMethod } from '../../config/second-factor.ts';
import { isEqual, plainCode, secretDigest } from '../secret-text.ts';
import { type FactorRecord, type FactorUser, hasFactor } from './factor-record.ts';
import { type FactorStore, ForeignRecordError } from './factor-store.ts';
import type { FactorPolicy } from './policy.ts';
import { minutesOff, stepAt, stepOfCode } from './totp.ts';

/**
 * After this many wrong codes in a period, no code of the user is accepted until it ends, or until an administrator resets the
 * factors. NIST SP 800-63B-4, section 3.2.2, counts those in a row; but who has the password could guess for ever then, since
 * the user logs in each day.
 */
export const maxWrongCodes = 100;
/** Milliseconds: 30 days. */
const wrongPeriod = 30 * 24 * 3_600_000;

export interface SecondFactorOptions {
  readonly policy: FactorPolicy;
  readonly methods: readonly FactorMethod[];
  readonly store: FactorStore;
  /** Whether each user of an authenticator has a uid. */
  readonly hasUids: (authenticator: string) => boolean;
  /** The lockout guard of an authenticator: wrong codes count there as wrong passwords do. */
  readonly attempts: (authenticator: string) => Attempts;
  /** The wall clock, in milliseconds since 1970. */
  readonly now: () => number;
}

/** What a user whose password was right must still prove. */
export type FactorNeed =
  | { readonly kind: 'nothing' }
  | {
      readonly kind: 'factor';
      /** The methods by which this user can prove it. Empty: only recovery codes are left. */
      readonly methods: readonly FactorMethod[];
      readonly record: FactorRecord;
    }
  /** They must have a factor, and have none that can be used, or it can't be found without their uid. */
  | { readonly kind: 'refused'; readonly reason: 'not-enrolled' | 'foreign-record' | 'no-uid' };

/** The result of a code. The reason is for the operator. */
export type CodeResult =
  | { readonly kind: 'right'; readonly method: 'totp' | 'recovery-code' }
  | {
      readonly kind: 'wrong';
      readonly reason: Extract<RejectionReason, 'invalid-credentials' | 'throttled' | 'locked'>;
      /** By how many minutes the clock of the app differs from the clock here, if the code is a code of another time. */
      readonly minutes?: number;
    };

/** Asks for the second factors of users, and checks their codes. */
export type SecondFactor = ReturnType<typeof createSecondFactor>;

/** Makes the second factor of one config. Its functions throw what the store throws: then nothing is known. */
export function createSecondFactor(options: SecondFactorOptions) {
  const { policy, methods: allowed, store, hasUids, attempts, now } = options;
  return {
    policy,
    methods: allowed,
    store,
    /**
     * Finds out what a user must prove after the password. A record that is lost or foreign never means that there is no factor.
     *
     * @param groups as Kubernetes sees them
     */
    async findNeed(user: FactorUser, groups: readonly string[]): Promise<FactorNeed> {
      if (!policy.isCovered(user.authenticator)) return { kind: 'nothing' };
      let record: FactorRecord | undefined;
      try {
        record = await store.read(user);
      } catch (error) {
        if (error instanceof ForeignRecordError)
          return { kind: 'refused', reason: 'foreign-record' };
        throw error;
      }
      if (record === undefined || !hasFactor(record)) {
        if (policy.isRequired(user.authenticator, groups))
          return { kind: 'refused', reason: 'not-enrolled' };
        // Their record may be under a uid that the directory does not show now.
        return user.uid === undefined && hasUids(user.authenticator)
          ? { kind: 'refused', reason: 'no-uid' }
          : { kind: 'nothing' };
      }
      const enrolled = { totp: record.totp.length > 0, passkey: record.passkeys.length > 0 };
      const methods = allowed.filter((method) => enrolled[method]);
      if (methods.length === 0 && record.recovery.length === 0)
        return { kind: 'refused', reason: 'not-enrolled' };
      return { kind: 'factor', methods, record };
    },
    /**
     * Checks a code of an app, or a recovery code. A right one is used up before it counts, on all replicas: of two attempts
     * with one code, one is refused. So is a code that was not checked because too many were wrong.
     *
     * @throws AuthenticatorError as `Attempts.admit`
     */
    async checkCode(user: FactorUser, code: string, signal: AbortSignal): Promise<CodeResult> {
      const typedCode = plainCode(code);
      const { authenticator, username } = user;
      const subject = codeSubject(user);
      // Another step can have the same code. So a code that was wrong can be right later.
      const secret = `${typedCode} ${stepAt(now())}`;
      const attempt = await attempts(authenticator).admit(subject, secret, signal, username);
      if (!attempt.admitted) return { kind: 'wrong', reason: attempt.reason };
      let outcome: 'accepted' | 'refused' | 'unavailable' = 'unavailable';
      try {
        const result = await store.change(user, (record) =>
          useCode(record, typedCode, allowed, now()),
        );
        outcome = result.kind === 'right' ? 'accepted' : 'refused';
        return result;
      } finally {
        await attempt.settle(outcome);
      }
    },
  };
}

/** No name of a user has a control character. */
const subjectStart = '\u0000second factor of ';

/** Names what the lockout guard counts wrong codes of. It is no name of a directory, so they count apart from passwords. */
function codeSubject({ username, uid }: Pick<FactorUser, 'username' | 'uid'>): string {
  return subjectStart + JSON.stringify(uid === undefined ? ['name', username] : ['uid', uid]);
}

/** Whether the lockout guard counts wrong codes by this name, and no passwords. */
export function isCodeSubject(subject: string): boolean {
  return subject.startsWith(subjectStart);
}

const refuse = (reason: Extract<CodeResult, { kind: 'wrong' }>['reason']): CodeResult => ({
  kind: 'wrong',
  reason,
});

function useCode(
  record: FactorRecord | undefined,
  code: string,
  allowed: readonly FactorMethod[],
  now: number,
): { readonly record?: FactorRecord; readonly result: CodeResult } {
  if (record === undefined) return { result: refuse('invalid-credentials') };
  if (areCodesLocked(record, now)) return { result: refuse('locked') };
  const changedRecord = useTotp(record, allowed.includes('totp') ? code : '', now);
  if (changedRecord !== undefined)
    return { record: changedRecord, result: { kind: 'right', method: 'totp' } };
  const digest = secretDigest(code);
  if (record.recovery.some((codeDigest) => isEqual(codeDigest, digest))) {
    const recovery = record.recovery.filter((codeDigest) => codeDigest !== digest);
    return {
      record: { ...record, recovery },
      result: { kind: 'right', method: 'recovery-code' },
    };
  }
  const minutes = timeDifference(record, code, now);
  return {
    record: withWrongCode(record, now),
    result: { ...refuse('invalid-credentials'), ...(minutes !== undefined && { minutes }) },
  };
}

function withWrongCode(record: FactorRecord, now: number): FactorRecord {
  const isNewPeriod = record.wrongCodes === 0 || now - record.wrongSince >= wrongPeriod;
  return isNewPeriod
    ? { ...record, wrongCodes: 1, wrongSince: now }
    : { ...record, wrongCodes: record.wrongCodes + 1 };
}

/** Whether so many codes were wrong that no code of the user is accepted now. @param now milliseconds since 1970 */
export function areCodesLocked(
  { wrongCodes, wrongSince }: Pick<FactorRecord, 'wrongCodes' | 'wrongSince'>,
  now: number,
): boolean {
  return wrongCodes >= maxWrongCodes && now - wrongSince < wrongPeriod;
}

/** @returns by how many minutes the clock of an app differs; undefined for a code that was used, or that no app made */
function timeDifference({ totp }: FactorRecord, code: string, now: number): number | undefined {
  const secrets = totp.map(({ secret }) => Buffer.from(secret, 'base64url'));
  if (secrets.some((secret) => stepOfCode(secret, code, now) !== undefined)) return undefined;
  return secrets
    .map((secret) => minutesOff(secret, code, now))
    .find((minutes) => minutes !== undefined);
}

/** Uses up the step of a code. @returns undefined for a code that is wrong, or whose step was used */
function useTotp(record: FactorRecord, code: string, now: number): FactorRecord | undefined {
  const steps = record.totp.map(({ secret, lastStep }) => {
    const step = stepOfCode(Buffer.from(secret, 'base64url'), code, now);
    return step !== undefined && step > lastStep ? step : undefined;
  });
  const position = steps.findIndex((step) => step !== undefined);
  const lastStep = steps[position];
  if (lastStep === undefined) return undefined;
  const totp = record.totp.map((factor, index) =>
    index === position ? { ...factor, lastStep, usedAt: now } : factor,
  );
  return { ...record, totp };
}
