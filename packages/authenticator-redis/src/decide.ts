import type { Decision } from '@sallyport/authenticator';
import type { TokenRecord } from './record/types.ts';

/** When a token ends, as far as Redis and its record know. Milliseconds since 1970; undefined: never. */
export function endOf({ expiresAt }: TokenRecord, keyExpiresAt: number | undefined): number | undefined {
  if (expiresAt === undefined || keyExpiresAt === undefined) return expiresAt ?? keyExpiresAt;
  return Math.min(expiresAt, keyExpiresAt);
}

/**
 * @param keyExpiresAt when Redis itself lets go of the record, milliseconds since 1970; undefined: never
 * @param now milliseconds since 1970
 */
export function decide(record: TokenRecord, keyExpiresAt: number | undefined, now: number): Decision {
  const { username, uid, groups, extra, audiences, notBefore, revokedAt } = record;
  const end = endOf(record, keyExpiresAt);
  // Also one whose revocation is dated ahead: somebody wants it gone.
  if (revokedAt !== undefined) return { kind: 'rejected', reason: 'revoked', subject: username };
  if (end !== undefined && now >= end) return { kind: 'rejected', reason: 'expired', subject: username };
  if (notBefore !== undefined && now < notBefore)
    return { kind: 'rejected', reason: 'not-yet-valid', subject: username };
  return {
    kind: 'authenticated',
    user: { username, ...(uid !== undefined && { uid }), ...(groups && { groups }), ...(extra && { extra }) },
    ...(audiences && { audiences }),
    ...(end !== undefined && { expiresAt: new Date(end) }),
  };
}
