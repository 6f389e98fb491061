import type { Decision, UserInfo } from '@sallyport/authenticator';
import type { TokenRecord } from './record.ts';

/**
 * Computes when Redis deletes a key.
 *
 * @param timeToLive the answer to PTTL: milliseconds, -1 for no end, -2 for no key
 * @param askedAt a time before that answer, milliseconds since 1970
 * @returns milliseconds since 1970; undefined: never. For a key that does not exist: a time in the past
 */
export function endOfKey(timeToLive: unknown, askedAt: number): number | undefined {
  // An unknown answer must not let a token live longer.
  if (typeof timeToLive !== 'number') return askedAt;
  if (timeToLive === -1) return undefined;
  return timeToLive < 0 ? askedAt : askedAt + timeToLive;
}

/** The end of a record or of its key, whichever comes first, in milliseconds since 1970. It is undefined if there is none. */
export function findExpiry(
  { expiresAt }: TokenRecord,
  keyExpiresAt: number | undefined,
): number | undefined {
  if (expiresAt === undefined || keyExpiresAt === undefined) return expiresAt ?? keyExpiresAt;
  return Math.min(expiresAt, keyExpiresAt);
}

export function readUser({ username, uid, groups, extra }: TokenRecord): UserInfo {
  return {
    username,
    ...(uid !== undefined && { uid }),
    ...(groups && { groups }),
    ...(extra && { extra }),
  };
}

/**
 * Decides about a token by its record.
 *
 * @param keyExpiresAt when Redis deletes the record, milliseconds since 1970; undefined: never
 * @param now milliseconds since 1970
 */
export function decideByRecord(
  record: TokenRecord,
  keyExpiresAt: number | undefined,
  now: number,
): Decision {
  const { username: subject, audiences, notBefore, revokedAt, session } = record;
  const end = findExpiry(record, keyExpiresAt);
  // Even a revocation with a date in the future counts.
  if (revokedAt !== undefined) return { kind: 'rejected', reason: 'revoked', subject };
  // An idle session ends with its key. A key without an end was changed by someone else.
  const isEndless = session !== undefined && keyExpiresAt === undefined;
  if (isEndless || (end !== undefined && now >= end))
    return { kind: 'rejected', reason: 'expired', subject };
  if (notBefore !== undefined && now < notBefore)
    return { kind: 'rejected', reason: 'not-yet-valid', subject };
  return {
    kind: 'authenticated',
    user: readUser(record),
    ...(audiences && { audiences }),
    ...(end !== undefined && { expiresAt: new Date(end) }),
    ...(session !== undefined && { session }),
  };
}
