import { randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Kept } from './kept.ts';
import { nameOfAudiences, nameOfToken, type Question } from './names.ts';
import { sizeOf } from './record.ts';
import type { NegativeDecision } from './types.ts';

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

/** Names a question under a random key of this process, so that no token stays in memory. */
export interface MemoryName {
  readonly token: string;
  readonly audiences: string;
}

/** The cache of this process, for all authenticators. It outlives a reload of the config. */
export interface MemoryTier {
  nameOf(question: Question): MemoryName;
  get(name: MemoryName): Remembered;
  /**
   * Forgets a no to the same question.
   *
   * @param isUsable of those already kept for the same token under other audiences
   * @returns false when that token has its share of entries already
   */
  add(name: MemoryName, kept: Kept, isUsable: (other: Kept) => boolean): boolean;
  /** Forgets a yes to the same question. */
  addNegative(name: MemoryName, kept: KeptNegative): void;
  /** Drops what nobody may use any more. */
  sweep(isUsable: (kept: Kept) => boolean): void;
  /** Tokens with a yes, and questions with a no: at most so many of each. What was used last stays. */
  resize(maxEntries: number): void;
  readonly entries: number;
}

/**
 * Sets of audiences that one token has entries for. More than clusters have; a caller who makes some up for a good token
 * gets no more room by it.
 */
const maxVariants = 8;

/** Bytes for a yes, on average: of users in a hundred groups each, fewer than `maxEntries` are kept. */
const averageSize = 4_096;
/** Bytes for a no, on average: more than the names of people need, and no plugin's longer ones fill the memory. */
const averageNegativeSize = 512;

/** By the audiences that were asked for. */
type Variants = ReadonlyMap<string, Kept>;

type Room = LRUCache<string, Variants>;
type NegativeRoom = LRUCache<string, KeptNegative>;

/** Answers of no have a room of their own: no flood of made-up tokens pushes out a good entry. */
export function createMemoryTier(maxEntries: number): MemoryTier {
  const key = randomBytes(32);
  let room = createRoom(maxEntries);
  let negatives = createNegativeRoom(maxEntries);
  let size = maxEntries;

  const set = (token: string, variants: Variants) => {
    if (variants.size === 0) room.delete(token);
    else room.set(token, variants);
  };
  return {
    nameOf: (question) => ({
      token: nameOfToken(key, question),
      audiences: nameOfAudiences(key, question.audiences),
    }),
    get: (name) => ({ yes: room.get(name.token)?.get(name.audiences), no: negatives.get(joined(name)) }),
    add(name, kept, isUsable) {
      const others = [...(room.get(name.token) ?? [])].filter(
        ([each, other]) => each !== name.audiences && isUsable(other),
      );
      negatives.delete(joined(name));
      if (others.length >= maxVariants) return false;
      set(name.token, new Map([...others, [name.audiences, kept]]));
      return true;
    },
    addNegative(name, kept) {
      const others = [...(room.peek(name.token) ?? [])].filter(([each]) => each !== name.audiences);
      set(name.token, new Map(others));
      negatives.set(joined(name), kept);
    },
    sweep(isUsable) {
      for (const [token, variants] of [...room.entries()]) {
        const usable = [...variants].filter(([, kept]) => isUsable(kept));
        if (usable.length < variants.size) set(token, new Map(usable));
      }
    },
    resize(next) {
      if (next === size) return;
      size = next;
      const [yes, no] = [room.dump(), negatives.dump()];
      room = createRoom(next);
      room.load(yes);
      negatives = createNegativeRoom(next);
      negatives.load(no);
    },
    get entries() {
      return room.size + negatives.size;
    },
  };
}

function createRoom(maxEntries: number): Room {
  return new LRUCache({
    max: maxEntries,
    maxSize: maxEntries * averageSize,
    sizeCalculation: (variants) => [...variants.values()].reduce((sum, { decision }) => sum + sizeOf(decision), 0),
  });
}

function createNegativeRoom(maxEntries: number): NegativeRoom {
  return new LRUCache({
    max: maxEntries,
    maxSize: maxEntries * averageNegativeSize,
    sizeCalculation: ({ decision }) => 256 + ('subject' in decision ? (decision.subject?.length ?? 0) * 2 : 0),
  });
}

function joined({ token, audiences }: MemoryName): string {
  return `${token}.${audiences}`;
}
