import type { IssuedToken, Revocation, TokenRequest } from '@sallyport/authenticator';
import { endOf, userOf } from '../decide.ts';
import type { TokenRecord } from '../record.ts';

/** What belongs to a token besides its record. */
export interface TokenDetails {
  readonly digest: string;
  /** When Redis deletes the record, milliseconds since 1970. */
  readonly keyExpiresAt?: number | undefined;
  /** Milliseconds since 1970; null: never used; undefined: not tracked. */
  readonly lastUsedAt?: number | null | undefined;
}

/** The contract's form of a record. */
export function issuedToken(record: TokenRecord, { digest, keyExpiresAt, lastUsedAt }: TokenDetails): IssuedToken {
  const { audiences, notBefore, issuedAt, issuedBy, reason } = record;
  const end = endOf(record, keyExpiresAt);
  const revoked = revocationOf(record);
  return {
    digest,
    user: userOf(record),
    ...(audiences && { audiences }),
    ...(notBefore !== undefined && { notBefore: new Date(notBefore) }),
    ...(end !== undefined && { expiresAt: new Date(end) }),
    ...(issuedAt !== undefined && { issuedAt: new Date(issuedAt) }),
    ...(issuedBy !== undefined && { issuedBy }),
    ...(reason !== undefined && { reason }),
    ...(lastUsedAt !== undefined && { lastUsedAt: lastUsedAt === null ? null : new Date(lastUsedAt) }),
    ...(revoked && { revoked }),
  };
}

export function revocationOf({ revokedAt, revokedBy, revokedReason }: TokenRecord): Revocation | undefined {
  if (revokedAt === undefined) return undefined;
  return {
    at: new Date(revokedAt),
    ...(revokedBy !== undefined && { by: revokedBy }),
    ...(revokedReason !== undefined && { reason: revokedReason }),
  };
}

/** The fields of a record for a revocation. */
export function revokedFields({ at, by, reason }: Revocation): Partial<TokenRecord> & { readonly revokedAt: number } {
  return { revokedAt: at.getTime(), revokedBy: by, revokedReason: reason };
}

/** @param now milliseconds since 1970 */
export function recordOf(request: TokenRequest, now: number): TokenRecord {
  const { user, audiences, notBefore, expiresAt, issuedBy, reason } = request;
  return {
    ...user,
    audiences,
    notBefore: notBefore?.getTime(),
    expiresAt: expiresAt?.getTime(),
    issuedAt: now,
    issuedBy,
    reason,
  };
}
