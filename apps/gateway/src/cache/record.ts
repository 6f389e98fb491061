import type { Authenticated } from '@sallyport/authenticator';
import { readDecision } from '../chain/decision.ts';

/** A yes, and what tells how long it holds. */
export interface CacheRecord {
  readonly decision: Authenticated;
  /** When the backend gave it: wall clock of the replica that asked, milliseconds since 1970. */
  readonly answeredAt: number;
  /** The revision of the revocation list that was known when it was asked. */
  readonly revision: number;
}

/** As it stands in Redis. What changes its shape changes `recordFormat` too, so that other shapes have other names. */
export interface StoredRecord extends CacheRecord {
  /** Milliseconds that Redis was told to keep it: what is left of them tells its age by a clock that all share. */
  readonly keptFor: number;
}

export function encodeRecord({ decision, answeredAt, revision, keptFor }: StoredRecord): Buffer {
  const { user, audiences, expiresAt } = decision;
  return Buffer.from(
    JSON.stringify({ answeredAt, revision, keptFor, user, audiences, expiresAt: expiresAt?.getTime() }),
  );
}

/** @returns undefined for what is no record: it was sealed, so another version of the gateway wrote it */
export function decodeRecord(bytes: Uint8Array): StoredRecord | undefined {
  try {
    const { answeredAt, revision, keptFor, user, audiences, expiresAt } = JSON.parse(Buffer.from(bytes).toString());
    const decision = readDecision({
      kind: 'authenticated',
      user,
      audiences,
      ...(expiresAt === undefined ? {} : { expiresAt: new Date(expiresAt) }),
    });
    const sound = Number.isFinite(answeredAt) && Number.isFinite(keptFor) && Number.isSafeInteger(revision);
    return sound && decision.kind === 'authenticated' ? { decision, answeredAt, revision, keptFor } : undefined;
  } catch {
    return undefined;
  }
}

/** About how many bytes of memory a decision takes: UTF-16 and what surrounds each text. */
export function sizeOf({ user, audiences = [] }: Authenticated): number {
  const { username, uid = '', groups = [], extra = {} } = user;
  const texts = [username, uid, ...groups, ...audiences, ...Object.entries(extra).flat(2)];
  return texts.reduce((sum, text) => sum + 32 + text.length * 2, 256);
}
