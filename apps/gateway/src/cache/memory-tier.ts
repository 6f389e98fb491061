import type { NoOpinion, Rejected } from '@sallyport/authenticator';
import { LRUCache } from 'lru-cache';
import { createPrivateNames, type Question } from './names.ts';
import { type PositiveEntry, sizeOf } from './record.ts';
import { type CachedUser, createUserIndex, maxAnswersOfUser } from './user-index.ts';

/** A negative decision, and what says how long it may be used. */
export interface NegativeEntry extends Pick<PositiveEntry, 'answeredAt' | 'answeredMonotonic' | 'revision'> {
  readonly decision: Rejected | NoOpinion;
}

/** What the memory has for one question. */
export interface MemoryEntries {
  readonly positive: PositiveEntry | undefined;
  readonly negative: NegativeEntry | undefined;
}

/** The cache of this process, for all authenticators. It outlives a reload of the config. */
export interface MemoryTier {
  /** Names a question under a random key of this process, so that no token stays in memory. */
  nameOf(question: Question): string;
  get(name: string): MemoryEntries;
  /**
   * Replaces a negative entry of the same question, and the oldest answer of a user who has too many.
   *
   * @param fingerprint of the question
   */
  add(name: string, entry: PositiveEntry, fingerprint: string): void;
  /** Replaces a positive entry of the same question. */
  addNegative(name: string, entry: NegativeEntry): void;
  /** Drops the positive entries that no one may use any more. */
  sweep(isUsable: (entry: PositiveEntry) => boolean): void;
  /** Bounds the positive entries, and the negative ones, at this count each. The ones used last stay. */
  resize(maxEntries: number): void;
  readonly entries: number;
}

/** Bytes of a positive entry on average: of users in a hundred groups each, fewer than `maxEntries` fit. */
const averageSize = 4_096;
/** Bytes of a negative entry on average: more than names of people need. Longer ones of a plugin can't fill the memory. */
const averageNegativeSize = 512;

/** A positive entry, and the authenticator that gave it. */
interface Owned {
  readonly entry: PositiveEntry;
  readonly fingerprint: string;
}

/** Negative entries have a capacity of their own: no flood of made-up tokens evicts a good entry. */
export function createMemoryTier(maxEntries: number): MemoryTier {
  let positives = createPositives(maxEntries);
  let negatives = createNegatives(maxEntries);
  let size = maxEntries;

  return {
    nameOf: createPrivateNames(),
    get(name) {
      // A question has one of them at most: each replaces the other.
      const positive = positives.cache.get(name)?.entry;
      return { positive, negative: positive === undefined ? negatives.get(name) : undefined };
    },
    add(name, entry, fingerprint) {
      negatives.delete(name);
      const owned = { entry, fingerprint };
      const others = positives.users.namesOf(userOf(owned)).filter((one) => one !== name);
      // First, so that the new entry takes the place of this user's own and of no other user's.
      if (others[0] !== undefined && others.length >= maxAnswersOfUser) positives.cache.delete(others[0]);
      positives.cache.set(name, owned);
    },
    addNegative(name, entry) {
      positives.cache.delete(name);
      negatives.set(name, entry);
    },
    sweep(isUsable) {
      for (const [name, { entry }] of [...positives.cache.entries()])
        if (!isUsable(entry)) positives.cache.delete(name);
    },
    resize(next) {
      if (next === size) return;
      size = next;
      const [positive, negative] = [positives.cache.dump(), negatives.dump()];
      positives = createPositives(next);
      positives.cache.load(positive);
      negatives = createNegatives(next);
      negatives.load(negative);
    },
    get entries() {
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
    max: maxEntries,
    maxSize: maxEntries * averageSize,
    sizeCalculation: ({ entry }) => sizeOf(entry.decision),
    onInsert: (one, name) => users.add(userOf(one), name),
    dispose: (one, name) => users.remove(userOf(one), name),
  });
  return { cache, users };
}

function createNegatives(maxEntries: number): LRUCache<string, NegativeEntry> {
  return new LRUCache({
    max: maxEntries,
    maxSize: maxEntries * averageNegativeSize,
    sizeCalculation: ({ decision }) => 256 + ('subject' in decision ? (decision.subject?.length ?? 0) * 2 : 0),
  });
}
