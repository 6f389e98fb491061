import type { NoOpinion, Rejected } from '@sallyport/authenticator';
import { LRUCache } from 'lru-cache';
import { type CachedUser, createPrivateNames, maxAnswersOfUser } from './names.ts';
import { type PositiveEntry, sizeOf } from './record.ts';

/** A negative decision, and what says how long it may be used. */
export interface NegativeEntry extends Pick<PositiveEntry, 'answeredAt' | 'answeredMonotonic' | 'revision'> {
  readonly decision: Rejected | NoOpinion;
}

/** The cache of this process, for all authenticators. It outlives a reload of the config. */
export type MemoryTier = ReturnType<typeof createMemoryTier>;

/** Bytes that a positive entry counts for at least: of users in a hundred groups each, fewer than `maxEntries` fit. */
const minSize = 4_096;
/** Bytes that a negative entry counts for at least. Names of people need less; longer ones of a plugin count for more. */
const minNegativeSize = 512;

/** A positive entry, and the authenticator that gave it. */
interface Owned {
  readonly entry: PositiveEntry;
  readonly fingerprint: string;
}

/** Negative entries have a capacity of their own: no flood of made-up tokens evicts a good entry. */
export function createMemoryTier(maxEntries: number) {
  let positives = createPositives(maxEntries);
  let negatives = createNegatives(maxEntries);
  let size = maxEntries;

  return {
    /** Names a question under a random key of this process, so that no token stays in memory. */
    nameOf: createPrivateNames(),
    /** A question has one of them at most: each replaces the other. */
    get(name: string) {
      const positive = positives.cache.get(name)?.entry;
      return { positive, negative: positive === undefined ? negatives.get(name) : undefined };
    },
    /** Also replaces the oldest answer of a user who has too many. @param fingerprint of the question. @param most of a user */
    add(name: string, entry: PositiveEntry, fingerprint: string, most: number = maxAnswersOfUser): void {
      negatives.delete(name);
      const owned = { entry, fingerprint };
      const others = positives.users.namesOf(userOf(owned)).filter((one) => one !== name);
      // First, so that the new entry takes the place of this user's own and of no other user's.
      if (others[0] !== undefined && others.length >= most) positives.cache.delete(others[0]);
      positives.cache.set(name, owned);
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

function userOf({ entry, fingerprint }: Owned): CachedUser {
  return { fingerprint, username: entry.decision.user.username };
}

function createPositives(maxEntries: number) {
  const users = createUserIndex();
  const cache = new LRUCache<string, Owned>({
    // Not `max`: it would allocate all slots at once, which takes 10 ms of each start.
    maxSize: maxEntries * minSize,
    sizeCalculation: ({ entry }) => Math.max(minSize, sizeOf(entry.decision)),
    onInsert: (one, name) => users.add(userOf(one), name),
    dispose: (one, name) => users.remove(userOf(one), name),
  });
  return { cache, users };
}

function createNegatives(maxEntries: number): LRUCache<string, NegativeEntry> {
  return new LRUCache({
    maxSize: maxEntries * minNegativeSize,
    sizeCalculation: ({ decision }) => {
      const subject = 'subject' in decision ? (decision.subject ?? '') : '';
      return Math.max(minNegativeSize, 256 + subject.length * 2);
    },
  });
}

/** The names of each user's answers, oldest first. */
function createUserIndex() {
  // Two levels, and arrays in place of sets: with many users each byte counts for each of them.
  const users = new Map<string, Map<string, readonly string[]>>();
  const namesOf = ({ fingerprint, username }: CachedUser) => users.get(fingerprint)?.get(username) ?? [];
  const set = ({ fingerprint, username }: CachedUser, names: readonly string[]) => {
    const ofAuthenticator = users.get(fingerprint) ?? new Map<string, readonly string[]>();
    if (names.length > 0) users.set(fingerprint, ofAuthenticator.set(username, names));
    else ofAuthenticator.delete(username);
    if (ofAuthenticator.size === 0) users.delete(fingerprint);
  };
  return {
    namesOf,
    add: (user: CachedUser, name: string) => set(user, [...namesOf(user), name]),
    remove(user: CachedUser, name: string) {
      const left = namesOf(user).filter((one) => one !== name);
      set(user, left);
    },
  };
}
