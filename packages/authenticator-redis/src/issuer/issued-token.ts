import type { IssuedToken, Revocation, TokenRequest } from '@sallyport/authenticator';
import { findExpiry, readUser } from '../decide.ts';
import type { TokenRecord } from '../record.ts';
import type { FoundRecord } from '../store.ts';

interface KnownToken extends Pick<FoundRecord, 'record' | 'keyExpiresAt'> {
  readonly digest: string;
  /** Milliseconds since 1970; null: never used; undefined: not tracked. */
  readonly lastUsedAt?: number | null | undefined;
}

/** The contract's form of a record. */
export function issuedToken({ record, digest, keyExpiresAt, lastUsedAt }: KnownToken): IssuedToken {
  const { audiences, notBefore, issuedAt, issuedBy, reason, session } = record;
  const end = findExpiry(record, keyExpiresAt);
  const usedAt = lastUsedAt === undefined ? findLastUse(record, keyExpiresAt) : lastUsedAt;
  const revoked = readRevocation(record);
  return {
    digest,
    user: readUser(record),
    ...(audiences && { audiences }),
    ...(notBefore !== undefined && { notBefore: new Date(notBefore) }),
    ...(end !== undefined && { expiresAt: new Date(end) }),
    ...(issuedAt !== undefined && { issuedAt: new Date(issuedAt) }),
    ...(issuedBy !== undefined && { issuedBy }),
    ...(reason !== undefined && { reason }),
    ...(usedAt !== undefined && { lastUsedAt: usedAt === null ? null : new Date(usedAt) }),
    ...(session !== undefined && { session }),
    ...(revoked && { revoked }),
  };
}

/** The time at which the time to live of a session was last set. A revoked session is not used any more. */
function findLastUse({ idle }: TokenRecord, keyExpiresAt: number | undefined): number | undefined {
  return idle === undefined || keyExpiresAt === undefined ? undefined : keyExpiresAt - idle;
}

export function readRevocation({
  revokedAt,
  revokedBy,
  revokedReason,
}: TokenRecord): Revocation | undefined {
  if (revokedAt === undefined) return undefined;
  return {
    at: new Date(revokedAt),
    ...(revokedBy !== undefined && { by: revokedBy }),
    ...(revokedReason !== undefined && { reason: revokedReason }),
  };
}

/** The fields of a record for a revocation. */
export function revokedFields({
  at: revokedAt,
  by: revokedBy,
  reason,
}: Revocation): Partial<TokenRecord> & { readonly revokedAt: number } {
  return { revokedAt: revokedAt.getTime(), revokedBy, revokedReason: reason };
}

/**
 * Makes the record of a new token.
 *
 * @param digest the digest of the token
 * @param now milliseconds since 1970
 */
export function makeRecord(request: TokenRequest, digest: string, now: number): TokenRecord {
  const { user, audiences, notBefore, expiresAt, issuedBy, reason, session } = request;
  return {
    ...user,
    audiences,
    notBefore: notBefore?.getTime(),
    expiresAt: expiresAt?.getTime(),
    issuedAt: now,
    issuedBy,
    reason,
    session: session?.describe(digest),
    idle: session?.idle,
  } as TokenRecord;
}
