import { hash, randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { bounded, pause } from '../deadlines.ts';

/** The calls of one authenticator that may run at the same time, and the queue of those that wait for a slot. */
export interface Slots {
  /**
   * @param isProven whether the token was good before. Asked only when the answer matters
   * @returns false: no slot is free for it
   */
  tryTake(isProven: () => boolean): boolean;
  /** Waits in the queue. Rejects when the queue is full, at the timeout, and when the signal is aborted. */
  wait(isProven: boolean, signal: AbortSignal): Promise<void>;
  /** Gives a slot back. To be called once for each that was taken. */
  leave(): void;
  /** Delays an answer by 1 s, without a slot: not when the queue is full, and not beyond an abort. */
  holdBack(signal: AbortSignal): Promise<void>;
}

/** Milliseconds. */
const heldFor = 1_000;

export interface SlotSettings {
  readonly maxConcurrent: number;
  readonly maxWaiting: number;
  /** Milliseconds that a call waits at most. */
  readonly timeout: number;
}

/**
 * Slots that a flood of made-up tokens can't take from those who were let in before: the last quarter of them is only
 * for proven tokens. Below that, calls start in the order in which they came, so a first login gets its turn as well.
 */
export function createSlots({ maxConcurrent, maxWaiting, timeout }: SlotSettings): Slots {
  const forAnyToken = maxConcurrent - Math.floor(maxConcurrent / 4);
  const queue = new Set<Waiting>();
  let taken = 0;
  let heldBack = 0;
  const isFull = () => queue.size + heldBack >= maxWaiting;

  const nextInLine = (): Waiting | undefined => {
    if (taken >= maxConcurrent) return undefined;
    for (const waiting of queue) if (waiting.isProven || taken < forAnyToken) return waiting;
    return undefined;
  };
  return {
    tryTake(isProven) {
      // None of these is for a call that waits: `leave` gives a slot straight to the next in line.
      if (taken >= forAnyToken && !(taken < maxConcurrent && isProven())) return false;
      taken++;
      return true;
    },
    wait(isProven, signal) {
      if (isFull()) return Promise.reject(new Error('the queue is full'));
      const waiting: Waiting = { isProven, start: () => undefined };
      return bounded<void>(
        { limit: timeout, signal },
        (start) => {
          waiting.start = start;
          queue.add(waiting);
        },
        () => queue.delete(waiting),
      );
    },
    async holdBack(signal) {
      if (isFull() || signal.aborted) return;
      heldBack++;
      await pause(heldFor, signal).catch(() => undefined);
      heldBack--;
    },
    leave() {
      taken--;
      const next = nextInLine();
      if (next === undefined) return;
      taken++;
      next.start();
    },
  };
}

interface Waiting {
  readonly isProven: boolean;
  start: () => void;
}

/**
 * Lookups of one claimed name in a second, of tokens that are not proven. More than a person's tools ask for at one time,
 * and few enough to cost the backend and this process little.
 */
export const mostOfOneName = 20;

/**
 * Counts the lookups of each name, whether or not the backend knows it, so that it does not show which names exist.
 *
 * @param now monotonic milliseconds
 * @returns whether one more is one too many
 */
export function createNameLimit(now: () => number): (name: string) => boolean {
  let counts = new Map<string, number>();
  let end = Number.NEGATIVE_INFINITY;
  return (name) => {
    if (now() >= end) {
      counts = new Map();
      end = now() + 1_000;
    }
    const count = (counts.get(name) ?? 0) + 1;
    counts.set(name, count);
    return count > mostOfOneName;
  };
}

/** Tokens that were good the last time that the backend was asked about them. */
export interface ProvenTokens {
  has(token: string): boolean;
  add(token: string): void;
}

/** Of all authenticators. About 100 bytes each. */
const maxProven = 50_000;

/**
 * Keeps digests of the tokens used last, under a random key of this process. It is no HMAC: it is made for each answer of
 * every authenticator, so it must cost no more than a microsecond, and no one sees the digest.
 *
 * @returns those of the authenticator whose config has this fingerprint: they outlive a reload that does not change it
 */
export function createProvenTokens(): (fingerprint: string) => ProvenTokens {
  const key = randomBytes(32).toString('base64');
  const proven = new LRUCache<string, true>({ max: maxProven });
  return (fingerprint) => {
    const prefix = `${key}${fingerprint} `;
    const digest = (token: string) => hash('sha256', prefix + token, 'base64url');
    return {
      has: (token) => proven.get(digest(token)) === true,
      add: (token) => void proven.set(digest(token), true),
    };
  };
}
