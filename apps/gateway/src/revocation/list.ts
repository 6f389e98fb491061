import { createHash, hash } from 'node:crypto';
import type { Blocks, Entry, Revocations } from './types.ts';

/** The revocation list as this process knows it. It outlives a reload of the config, and the Redis it came from. */
export interface RevocationList extends Omit<Revocations, 'isCutOff'>, Blocks {
  /**
   * Merges the entries of Redis. Entries that are known here and missing there stay: a Redis that was flushed, or has
   * lost its last writes, does not lift a block.
   *
   * @returns the new entries, and those of them that came out of their order: to be published again, after all others
   */
  merge(entries: readonly Entry[]): { readonly adopted: readonly Entry[]; readonly outOfOrder: readonly Entry[] };
  /** The entries that Redis must have: all that are remembered, and always the newest, since it holds the revision. */
  readonly entries: readonly Entry[];
  /** Blocks in force. */
  readonly blocks: readonly Entry[];
}

/** The entries in force by name, for each review. */
interface Index {
  /** The revision of the newest revocation. */
  readonly revokedUsers: ReadonlyMap<string, number>;
  readonly revokedTokens: ReadonlyMap<string, number>;
  readonly revokedAll: number;
  readonly blockedUsers: ReadonlyMap<string, Entry>;
  readonly blockedGroups: ReadonlyMap<string, Entry>;
  readonly blockedTokens: ReadonlyMap<string, Entry>;
  readonly blockedJtis: ReadonlyMap<string, Entry>;
  readonly blockedSids: ReadonlyMap<string, Entry>;
}

/** Milliseconds after `keptUntil` for which an entry is still remembered, in case clocks are wrong. */
const grace = 3_600_000;

/**
 * No single clock lets a user in: a block ends when both Redis' clock and this process' own have passed its end, and is
 * forgotten a while after that.
 *
 * @param now milliseconds since 1970 by Redis' clock, as far as it is known
 * @param wall by the clock of this process
 */
export function createRevocationList(now: () => number, wall: () => number): RevocationList {
  // By subject: of two entries of one subject, the newer one holds.
  let held: ReadonlyMap<string, Entry> = new Map();
  let revision = 0;
  let index = indexOf([]);

  const earlier = () => Math.min(now(), wall());
  const isInForce = (entry: Entry) => entry.until > earlier();
  const blockOf = (blocks: ReadonlyMap<string, Entry>, name: string | undefined): Entry | undefined => {
    const block = name === undefined || blocks.size === 0 ? undefined : blocks.get(name);
    return block !== undefined && isInForce(block) ? block : undefined;
  };

  return {
    get revision() {
      return revision;
    },
    isRevoked(since, username, token) {
      if (index.revokedAll > since) return true;
      const { revokedUsers } = index;
      if (username !== undefined && revokedUsers.size > 0 && (revokedUsers.get(username) ?? 0) > since) return true;
      return index.revokedTokens.size > 0 && (index.revokedTokens.get(digestOf(token)) ?? 0) > since;
    },
    ofToken: (token) => (index.blockedTokens.size === 0 ? undefined : blockOf(index.blockedTokens, digestOf(token))),
    ofUser(username, groups) {
      const { blockedUsers, blockedGroups } = index;
      const member = blockedGroups.size === 0 ? undefined : groups.find((group) => blockOf(blockedGroups, group));
      return blockOf(blockedUsers, username) ?? blockOf(blockedGroups, member);
    },
    ofCredential: ({ jti, sid }) => blockOf(index.blockedJtis, jti) ?? blockOf(index.blockedSids, sid),
    merge(entries) {
      const known = new Set([...held.values()].map(({ id }) => id));
      const unknown = entries.filter((entry) => !known.has(entry.id)).sort(byRevision);
      const next = new Map(held);
      const adopted: Entry[] = [];
      const outOfOrder: Entry[] = [];
      const before = revision;
      for (const entry of unknown) {
        if (!isInForce(entry) && entry.revision <= before) continue;
        const placed = entry.revision > before ? entry : { ...entry, revision: revision + 1 };
        const other = next.get(subjectOf(entry));
        // An older entry of the same subject, written back by a replica that had missed the newer one.
        if (other !== undefined && other.revision >= entry.revision) continue;
        if (placed !== entry) outOfOrder.push(entry);
        revision = Math.max(revision, placed.revision);
        next.set(subjectOf(entry), placed);
        adopted.push(placed);
      }
      const isKept = (entry: Entry) => entry.keptUntil + grace > earlier() || entry.revision === revision;
      held = new Map([...next].filter(([, entry]) => isKept(entry)));
      index = indexOf([...held.values()]);
      return { adopted, outOfOrder };
    },
    get entries() {
      return [...held.values()].sort(byRevision);
    },
    get blocks() {
      return [...held.values()].filter((entry) => entry.action === 'block' && isInForce(entry)).sort(byRevision);
    },
  };
}

/** Identifies a list: by this a replica reports which one it has merged. */
export function digestOfList(entries: readonly Pick<Entry, 'id' | 'revision'>[]): string {
  const lines = entries.map(({ id, revision }) => `${id} ${revision}\n`).sort();
  return createHash('sha256').update(lines.join('')).digest('hex');
}

/** The name of a token in the list. */
export function digestOf(token: string): string {
  return hash('sha256', token, 'hex');
}

/** A block and the unblock that ends it have the same subject; a revocation or an unlock of the name has another. */
export function subjectOf({ action, kind, name }: Pick<Entry, 'action' | 'kind' | 'name'>): string {
  return JSON.stringify([action === 'unblock' ? 'block' : action, kind, name]);
}

/** The newest of each subject; the newest of all comes last. */
export function currentEntries(entries: readonly Entry[]): readonly Entry[] {
  const newest = new Map([...entries].sort(byRevision).map((entry) => [subjectOf(entry), entry]));
  return [...newest.values()].sort(byRevision);
}

/** Blocks in force, the newest first, of a list as it is in Redis. `now` is Redis' time. */
export function blocksIn({ entries, now }: { entries: readonly Entry[]; now: number }): readonly Entry[] {
  const inForce = currentEntries(entries).filter(({ action, until }) => action === 'block' && until > now);
  return inForce.sort((one, other) => other.at - one.at || other.revision - one.revision);
}

function byRevision(one: Entry, other: Entry): number {
  return one.revision - other.revision;
}

function indexOf(entries: readonly Entry[]): Index {
  const of = (action: Entry['action'], kind: Entry['kind']) =>
    entries.filter((entry) => entry.action === action && entry.kind === kind);
  const revisions = (kind: Entry['kind']) => new Map(of('revoke', kind).map(({ name, revision }) => [name, revision]));
  const blocks = (kind: Entry['kind']) => new Map(of('block', kind).map((entry) => [entry.name, entry]));
  return {
    revokedUsers: revisions('user'),
    revokedTokens: revisions('token'),
    revokedAll: Math.max(0, ...of('revoke', 'all').map(({ revision }) => revision)),
    blockedUsers: blocks('user'),
    blockedGroups: blocks('group'),
    blockedTokens: blocks('token'),
    blockedJtis: blocks('jti'),
    blockedSids: blocks('sid'),
  };
}
