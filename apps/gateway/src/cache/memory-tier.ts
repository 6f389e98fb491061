import { randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Kept } from './kept.ts';
import { nameOf, type Question } from './names.ts';
import { sizeOf } from './record.ts';
import type { NegativeDecision } from './types.ts';
import { type CachedUser, createUserIndex, mostOfUser, type UserIndex } from './user-index.ts';

/** A no, and what tells how long it holds. */
export interface KeptNegative {
  readonly decision: NegativeDecision;
  readonly answeredAt: number;
  readonly answeredMonotonic: number;
  readonly revision: number;
}

/** What is known of one question. */
export interface Remembered {
  readonly yes: Kept | undefined;
  readonly no: KeptNegative | undefined;
}

/** The cache of this process, for all authenticators. It outlives a reload of the config. */
export interface MemoryTier {
  /** Names a question under a random key of this process, so that no token stays in memory. */
  nameOf(question: Question): string;
  get(name: string): Remembered;
  /**
   * Forgets a no to the same question, and the oldest answer of a user who has too many.
   *
   * @param fingerprint of the question
   */
  add(name: string, kept: Kept, fingerprint: string): void;
  /** Forgets a yes to the same question. */
  addNegative(name: string, kept: KeptNegative): void;
  /** Drops what nobody may use any more. */
  sweep(isUsable: (kept: Kept) => boolean): void;
  /** Questions with a yes, and questions with a no: at most so many of each. What was used last stays. */
  resize(maxEntries: number): void;
  readonly entries: number;
}

/** Bytes for a yes, on average: of users in a hundred groups each, fewer than `maxEntries` are kept. */
const averageSize = 4_096;
/** Bytes for a no, on average: more than the names of people need, and no plugin's longer ones fill the memory. */
const averageNegativeSize = 512;

/** A yes, and which authenticator gave it. */
interface Held {
  readonly kept: Kept;
  readonly fingerprint: string;
}

interface Room {
  readonly held: LRUCache<string, Held>;
  /** Of all that is held. */
  readonly users: UserIndex;
}

type NegativeRoom = LRUCache<string, KeptNegative>;

/** Answers of no have a room of their own: no flood of made-up tokens pushes out a good entry. */
export function createMemoryTier(maxEntries: number): MemoryTier {
  const key = randomBytes(32);
  let room = createRoom(maxEntries);
  let negatives = createNegativeRoom(maxEntries);
  let size = maxEntries;

  return {
    nameOf: (question) => nameOf(key, question),
    get: (name) => ({ yes: room.held.get(name)?.kept, no: negatives.get(name) }),
    add(name, kept, fingerprint) {
      negatives.delete(name);
      const held = { kept, fingerprint };
      const others = room.users.namesOf(userOf(held)).filter((one) => one !== name);
      // Before the new one comes, so that it takes the place of this user's own and of no other user's.
      if (others[0] !== undefined && others.length >= mostOfUser) room.held.delete(others[0]);
      room.held.set(name, held);
    },
    addNegative(name, kept) {
      room.held.delete(name);
      negatives.set(name, kept);
    },
    sweep(isUsable) {
      for (const [name, { kept }] of [...room.held.entries()]) if (!isUsable(kept)) room.held.delete(name);
    },
    resize(next) {
      if (next === size) return;
      size = next;
      const [yes, no] = [room.held.dump(), negatives.dump()];
      room = createRoom(next);
      room.held.load(yes);
      negatives = createNegativeRoom(next);
      negatives.load(no);
    },
    get entries() {
      return room.held.size + negatives.size;
    },
  };
}

function userOf({ kept, fingerprint }: Held): CachedUser {
  return { fingerprint, username: kept.decision.user.username };
}

function createRoom(maxEntries: number): Room {
  const users = createUserIndex();
  const held = new LRUCache<string, Held>({
    max: maxEntries,
    maxSize: maxEntries * averageSize,
    sizeCalculation: ({ kept }) => sizeOf(kept.decision),
    onInsert: (one, name) => users.add(userOf(one), name),
    dispose: (one, name) => users.remove(userOf(one), name),
  });
  return { held, users };
}

function createNegativeRoom(maxEntries: number): NegativeRoom {
  return new LRUCache({
    max: maxEntries,
    maxSize: maxEntries * averageNegativeSize,
    sizeCalculation: ({ decision }) => 256 + ('subject' in decision ? (decision.subject?.length ?? 0) * 2 : 0),
  });
}
