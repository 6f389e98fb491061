import { hash } from 'node:crypto';
import type { Credential } from '@sallyport/authenticator';
import { z } from 'zod';
import type { CredentialSubject } from './credential-id.ts';

/** One entry of the revocation list. Names are as Kubernetes sees them, prefix included. */
export const entrySchema = z.object({
  /** Random characters. */
  id: z.string(),
  /**
   * `unlock`: each replica that learns of it forgets a user's refused attempts, once. `revoke`: answers that were cached before
   * are not used any more. `block`: the subject is refused, whatever a backend answers. `unblock` ends a block; it stays in the
   * list as long as a replica that has missed it could bring the block back. `factor-invite` and `factor-reset` change nothing: the
   * audit trail of each replica has them.
   */
  action: z.enum(['revoke', 'block', 'unblock', 'unlock', 'factor-invite', 'factor-reset']),
  /**
   * What `name` is. `token`: the token's SHA-256, 64 hexadecimal digits. `jti`, `sid`: see `Credential`; `shortenId` shortens very
   * long ones. `credential`: any other credential ID of kube-apiserver, see `readCredentialId`. `all`: every user.
   */
  kind: z.enum(['user', 'group', 'token', 'jti', 'sid', 'credential', 'all']),
  /** It is '' for `all`. */
  name: z.string(),
  /** Its place in the order of all entries: higher than that of every earlier one. */
  revision: z.int(),
  /** When it was made, in milliseconds since 1970 by Redis' clock, as are the times below. */
  at: z.int(),
  /** When it ends. */
  until: z.int(),
  /** Until when it is remembered, at least until `until`: what it superseded could come back. */
  keptUntil: z.int(),
  by: z.string(),
  reason: z.string().exactOptional(),
});

export type Entry = Readonly<z.infer<typeof entrySchema>>;

/** The revocation list as this process knows it. It outlives a reload of the config, and a loss of the list in Redis. */
export type RevocationList = ReturnType<typeof createRevocationList>;

/** The revocation list as each decision uses it. */
export interface Blocks
  extends Pick<RevocationList, 'findByToken' | 'findByUser' | 'findByCredential'> {
  /** Whether no list was read since the process has started: who is blocked is not known, and no one may be let in. */
  readonly isUnknown: boolean;
}

/** The blocks as a login uses them, which has not kept its token. */
export interface LoginBlocks
  extends Pick<Blocks, 'findByUser' | 'findByCredential' | 'isUnknown'>,
    Pick<RevocationList, 'findByTokenDigest'> {}

/** The blocks as a request to the cluster is checked against them. */
export interface AccessBlocks
  extends Pick<Blocks, 'findByUser' | 'isUnknown'>,
    Pick<RevocationList, 'findByCredentialId'> {
  /** Milliseconds since the list was last read. Infinity: there was none. Undefined: there is no Redis. */
  readonly age: number | undefined;
}

/** The revocation list as a cache uses it. */
export interface Revocations extends Pick<RevocationList, 'revision' | 'isRevoked'> {
  /** Whether the list could not be read for 1 s, so that later revocations are not known. */
  readonly isCutOff: boolean;
}

/** The revocation list as a login uses it. */
export interface LoginRevocations extends Pick<RevocationList, 'revision' | 'isRevoked'> {
  /**
   * Reads the list, if this process has not read it for 1 s. Commands don't wait for a process that was paused for over a minute,
   * so it must not go on with what it knew before. Never rejects.
   */
  readonly refresh: () => Promise<void>;
}

/** How long an entry is remembered after `keptUntil`, in case clocks are wrong. Milliseconds. */
const grace = 3_600_000;

/**
 * Makes the list of this process. No single clock lets a user in: a block ends when both Redis' clock (`now`, as far as it is
 * known) and this process' own (`wall`) have passed its end, and is forgotten an hour after that.
 */
export function createRevocationList(now: () => number, wall: () => number) {
  // Of two entries of one subject, the newer one is in force.
  let bySubject: ReadonlyMap<string, Entry> = new Map();
  let revision = 0;
  let index = indexEntries([]);

  const earlier = () => Math.min(now(), wall());
  const isInForce = (entry: Entry) => entry.until > earlier();
  const findInForce = (
    blocks: ReadonlyMap<string, Entry>,
    name: string | undefined,
  ): Entry | undefined => {
    const block = name === undefined || blocks.size === 0 ? undefined : blocks.get(name);
    return block !== undefined && isInForce(block) ? block : undefined;
  };

  return {
    /** The revision of the newest entry that is known. A lookup notes it when it begins. 0: there was no entry yet. */
    get revision(): number {
      return revision;
    },
    /**
     * Says whether an answer must not be used, because it was revoked after its lookup began.
     *
     * @param since the revision that was known when the lookup began
     * @param username as Kubernetes sees it; undefined when the answer names no user
     */
    isRevoked(since: number, username: string | undefined, token: string): boolean {
      if (index.revokedAll > since) return true;
      if (username !== undefined && (index.revokedUsers.get(username) ?? 0) > since) return true;
      return (
        index.revokedTokens.size > 0 && (index.revokedTokens.get(digestToken(token)) ?? 0) > since
      );
    },
    /** @returns the block that is in force for the token, whoever its user is */
    findByToken: (token: string) =>
      index.blockedIds.token.size === 0
        ? undefined
        : findInForce(index.blockedIds.token, digestToken(token)),
    /** Finds what `findByToken` does, for a caller that has not kept the token. @param digest see {@link digestToken} */
    findByTokenDigest: (digest: string | undefined) => findInForce(index.blockedIds.token, digest),
    /** @returns the block that is in force for a user of that name, or in one of these groups, as Kubernetes sees them */
    findByUser(username: string, groups: readonly string[]): Entry | undefined {
      const { blockedUsers, blockedGroups } = index;
      const member =
        blockedGroups.size === 0
          ? undefined
          : groups.find((group) => findInForce(blockedGroups, group));
      return findInForce(blockedUsers, username) ?? findInForce(blockedGroups, member);
    },
    /** @returns the block that is in force for a token with these ids, whoever issued it */
    findByCredential: ({ jti, sid }: Credential) =>
      findInForce(index.blockedIds.jti, jti) ?? findInForce(index.blockedIds.sid, sid),
    /** @returns the block that is in force for a credential ID of kube-apiserver */
    findByCredentialId: ({ kind, name }: CredentialSubject) =>
      findInForce(index.blockedIds[kind], name),
    /**
     * Merges the entries of Redis. Entries that are known here and missing there stay: a Redis that was flushed, or has
     * lost its last writes, does not lift a block.
     *
     * @returns the new entries, and which of them are out of order: these must be published again, after all others
     */
    merge(entries: readonly Entry[]) {
      const merged = mergeInto(bySubject, revision, entries, isInForce);
      revision = merged.revision;
      const isRemembered = (entry: Entry) =>
        entry.keptUntil + grace > earlier() || entry.revision === revision;
      bySubject = new Map([...merged.next].filter(([, entry]) => isRemembered(entry)));
      index = indexEntries([...bySubject.values()]);
      return { adopted: merged.adopted, outOfOrder: merged.outOfOrder };
    },
    /** The entries that Redis must have: all that are remembered, and always the newest, since it has the revision. */
    get entries(): readonly Entry[] {
      return [...bySubject.values()].sort(compareRevisions);
    },
    /** The blocks in force. */
    get blocks(): readonly Entry[] {
      return [...bySubject.values()]
        .filter((entry) => entry.action === 'block' && isInForce(entry))
        .sort(compareRevisions);
    },
  };
}

function mergeInto(
  bySubject: ReadonlyMap<string, Entry>,
  oldRevision: number,
  entries: readonly Entry[],
  isInForce: (entry: Entry) => boolean,
) {
  const knownIds = new Set([...bySubject.values()].map(({ id }) => id));
  const next = new Map(bySubject);
  const adopted: Entry[] = [];
  const outOfOrder: Entry[] = [];
  let revision = oldRevision;
  for (const entry of entries.filter(({ id }) => !knownIds.has(id)).sort(compareRevisions)) {
    if (!isInForce(entry) && entry.revision <= oldRevision) continue;
    const placed = entry.revision > oldRevision ? entry : { ...entry, revision: revision + 1 };
    const current = next.get(identifySubject(entry));
    // A replica that had missed a newer entry of the same subject may have written back an older one.
    if (current !== undefined && current.revision >= entry.revision) continue;
    if (placed !== entry) outOfOrder.push(entry);
    revision = Math.max(revision, placed.revision);
    next.set(identifySubject(entry), placed);
    adopted.push(placed);
  }
  return { next, revision, adopted, outOfOrder };
}

/** Makes the digest by which a replica reports which list it has merged. */
export function digestList(entries: readonly Pick<Entry, 'id' | 'revision'>[]): string {
  const lines = entries.map(({ id, revision }) => `${id} ${revision}\n`).sort();
  return hash('sha256', lines.join(''), 'hex');
}

/** Makes the name of a token in the list. */
export function digestToken(token: string): string {
  return hash('sha256', token, 'hex');
}

/** Returns the first 12 digits of a digest, by which people and `revoke --digest` know a token. */
export function shortDigest(digest: string): string {
  return digest.slice(0, 12);
}

/** Whether an entry is about second factors: it is for the audit trail alone. */
export function isFactorEntry({ action }: Pick<Entry, 'action'>): boolean {
  return action === 'factor-invite' || action === 'factor-reset';
}

/**
 * Identifies what an entry is about. A block and the unblock that ends it have the same subject; a revocation or an unlock has
 * another.
 */
export function identifySubject(entry: Pick<Entry, 'action' | 'kind' | 'name'>): string {
  const { action, kind, name } = entry;
  return JSON.stringify([action === 'unblock' ? 'block' : action, kind, name]);
}

/** Selects the newest entry of each subject; the newest of all comes last. */
export function selectCurrentEntries(entries: readonly Entry[]): readonly Entry[] {
  const newest = new Map(
    [...entries].sort(compareRevisions).map((entry) => [identifySubject(entry), entry]),
  );
  return [...newest.values()].sort(compareRevisions);
}

/** Selects the blocks in force of a list as it is in Redis, the newest first. `now` is Redis' time. */
export function selectBlocks(listing: {
  entries: readonly Entry[];
  now: number;
}): readonly Entry[] {
  const inForce = selectCurrentEntries(listing.entries).filter(
    ({ action, until }) => action === 'block' && until > listing.now,
  );
  return inForce.sort((a, b) => b.at - a.at || b.revision - a.revision);
}

function compareRevisions(a: Entry, b: Entry): number {
  return a.revision - b.revision;
}

/** Indexes entries by name, for use in each review. A revocation has only its revision there. */
function indexEntries(entries: readonly Entry[]) {
  const select = (action: Entry['action'], kind: Entry['kind']) =>
    entries.filter((entry) => entry.action === action && entry.kind === kind);
  const revisions = (kind: Entry['kind']) =>
    new Map(select('revoke', kind).map(({ name, revision }) => [name, revision]));
  const blocks = (kind: Entry['kind']) =>
    new Map(select('block', kind).map((entry) => [entry.name, entry]));
  return {
    revokedUsers: revisions('user'),
    revokedTokens: revisions('token'),
    revokedAll: Math.max(0, ...select('revoke', 'all').map(({ revision }) => revision)),
    blockedUsers: blocks('user'),
    blockedGroups: blocks('group'),
    blockedIds: {
      token: blocks('token'),
      jti: blocks('jti'),
      sid: blocks('sid'),
      credential: blocks('credential'),
    },
  };
}
