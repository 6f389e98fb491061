import type { NoOpinion, Rejected } from '@sallyport/authenticator';
import { LRUCache } from 'lru-cache';
import { type CachedUser, createPrivateNames, maxAnswersOfUser } from './names.ts';
import { estimateSize, type PositiveEntry } from './record.ts';

/** A negative decision, and what says how long it may be used. */
export interface NegativeEntry
  extends Pick<PositiveEntry, 'answeredAt' | 'answeredMonotonic' | 'revision'> {
  readonly decision: Rejected | NoOpinion;
}

/** The cache of this process, for all authenticators. It outlives a reload of the config. */
export type MemoryTier = ReturnType<typeof createMemoryTier>;

/** The minimum size that a positive entry counts for, in bytes. Entries of users in a hundred groups count for more. */
const minSize = 4_096;
/** The minimum size that a negative entry counts for, in bytes. Names of people need less; longer names count for more. */
const minNegativeSize = 512;

/** A positive entry, and the authenticator that gave it. */
interface OwnedEntry {
  readonly entry: PositiveEntry;
  readonly fingerprint: string;
}

/** Makes the cache. Negative entries have a capacity of their own, so that no flood of forged tokens evicts a good entry. */
export function createMemoryTier(maxEntries: number) {
  let positives = createPositives(maxEntries);
  let negatives = createNegatives(maxEntries);
  let size = maxEntries;

  return {
    /** Names a question under a random key of this process, so that no token stays in memory. */
    nameAnswer: createPrivateNames(),
    /** Finds the entry of a question. It has a positive or a negative one, not both: each replaces the other. */
    get(name: string) {
      const positive = positives.cache.get(name)?.entry;
      return { positive, negative: positive === undefined ? negatives.get(name) : undefined };
    },
    /**
     * Adds a positive entry, and drops the oldest one of a user who has too many.
     *
     * @param fingerprint that of the question
     * @param maxOfUser how many entries one user may have
     */
    add(
      name: string,
      entry: PositiveEntry,
      fingerprint: string,
      maxOfUser: number = maxAnswersOfUser,
    ): void {
      negatives.delete(name);
      const ownedEntry = { entry, fingerprint };
      const otherNames = positives.users
        .listNames(toCachedUser(ownedEntry))
        .filter((answerName) => answerName !== name);
      // This comes first, so that the new entry evicts one of this user, and none of another user.
      if (otherNames[0] !== undefined && otherNames.length >= maxOfUser)
        positives.cache.delete(otherNames[0]);
      positives.cache.set(name, ownedEntry);
    },
    addNegative(name: string, entry: NegativeEntry): void {
      positives.cache.delete(name);
      negatives.set(name, entry);
    },
    /** Drops the positive entries that no one may use any more. */
    sweep(isUsable: (entry: PositiveEntry) => boolean): void {
      for (const [name, { entry }] of [...positives.cache.entries()])
        if (!isUsable(entry)) positives.cache.delete(name);
    },
    /** Bounds the positive entries, and the negative ones, at this count each. The ones used last stay. */
    resize(next: number): void {
      if (next === size) return;
      size = next;
      const [positive, negative] = [positives.cache.dump(), negatives.dump()];
      positives = createPositives(next);
      positives.cache.load(positive);
      negatives = createNegatives(next);
      negatives.load(negative);
    },
    get entries(): number {
      return positives.cache.size + negatives.size;
    },
  };
}

function toCachedUser({ entry, fingerprint }: OwnedEntry): CachedUser {
  return { fingerprint, username: entry.decision.user.username };
}

function createPositives(maxEntries: number) {
  const users = createUserIndex();
  const cache = new LRUCache<string, OwnedEntry>({
    // `max` would allocate all slots immediately, which takes 10 ms of each start.
    maxSize: maxEntries * minSize,
    sizeCalculation: ({ entry }) => Math.max(minSize, estimateSize(entry.decision)),
    onInsert: (ownedEntry, name) => users.add(toCachedUser(ownedEntry), name),
    dispose: (ownedEntry, name) => users.remove(toCachedUser(ownedEntry), name),
  });
  return { cache, users };
}

function createNegatives(maxEntries: number): LRUCache<string, NegativeEntry> {
  return new LRUCache({
    maxSize: maxEntries * minNegativeSize,
    // Names of questions about a user have that user's name in them.
    sizeCalculation: ({ decision }, name) => {
      const { subject = '', audiences = [] } = decision.kind === 'rejected' ? decision : {};
      const length = [name, subject, ...audiences].reduce((sum, text) => sum + text.length, 0);
      return Math.max(minNegativeSize, 256 + 32 * audiences.length + length * 2);
    },
  });
}

/** Keeps the names of each user's answers, oldest first. */
function createUserIndex() {
  // It has two levels, and arrays instead of sets, to save memory with many users.
  const users = new Map<string, Map<string, readonly string[]>>();
  const listNames = ({ fingerprint, username }: CachedUser) =>
    users.get(fingerprint)?.get(username) ?? [];
  const set = ({ fingerprint, username }: CachedUser, names: readonly string[]) => {
    const namesByUser = users.get(fingerprint) ?? new Map<string, readonly string[]>();
    if (names.length > 0) users.set(fingerprint, namesByUser.set(username, names));
    else namesByUser.delete(username);
    if (namesByUser.size === 0) users.delete(fingerprint);
  };
  return {
    listNames,
    add: (user: CachedUser, name: string) => set(user, [...listNames(user), name]),
    remove: (user: CachedUser, name: string) =>
      set(
        user,
        listNames(user).filter((answerName) => answerName !== name),
      ),
  };
}
