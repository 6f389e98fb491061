import { readCredentialId } from './credential-id.ts';
import type { EndedSessions } from './ended-sessions.ts';
import type { AccessBlocks, Entry } from './list.ts';

/** The person or service account of an access review, as kube-apiserver knows them. */
export interface AccessSubject {
  readonly username: string;
  readonly groups: readonly string[];
  /** The credential with which they came. Empty: kube-apiserver does not say. */
  readonly credentialIds: readonly string[];
}

/** The decision about one request to the cluster. It allows nothing. */
export type AccessDecision =
  | { readonly kind: 'no-opinion' }
  | { readonly kind: 'blocked'; readonly block: Entry }
  /** Their session or token was logged out or revoked. */
  | { readonly kind: 'ended' }
  /** Nothing is known against them, and the list of blocks was not read recently. */
  | { readonly kind: 'unknown' };

/** The maximum age of the revocation list with which someone passes, in milliseconds. kube-apiserver's caches are added to it. */
const maxListAge = 10_000;

const noOpinion: AccessDecision = Object.freeze({ kind: 'no-opinion' });
const endedSession: AccessDecision = Object.freeze({ kind: 'ended' });
const unknownList: AccessDecision = Object.freeze({ kind: 'unknown' });

/** Decides about a request to the cluster. A block that is known denies, however old the list is. */
export function decideAccess(
  blocks: AccessBlocks,
  endedSessions: Pick<EndedSessions, 'hasDigest'>,
  { username, groups, credentialIds }: AccessSubject,
): AccessDecision {
  const credentials = credentialIds.map(readCredentialId);
  const block = blocks.findByUser(username, groups) ?? findCredentialBlock(blocks, credentials);
  if (block !== undefined) return { kind: 'blocked', block };
  const hasEnded = ({ kind, name }: (typeof credentials)[number]) =>
    kind === 'token' && endedSessions.hasDigest(name);
  if (credentials.some(hasEnded)) return endedSession;
  // Without a list the age is undefined.
  const isRecent = blocks.age !== undefined && blocks.age <= maxListAge;
  return blocks.isUnknown || !isRecent ? unknownList : noOpinion;
}

function findCredentialBlock(
  blocks: AccessBlocks,
  credentials: readonly ReturnType<typeof readCredentialId>[],
): Entry | undefined {
  for (const credential of credentials) {
    const block = blocks.findByCredentialId(credential);
    if (block !== undefined) return block;
  }
  return undefined;
}
