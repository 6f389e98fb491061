import { hash, randomBytes } from 'node:crypto';
import { type Authenticator, AuthenticatorError } from '@sallyport/authenticator';
import { LRUCache } from 'lru-cache';
import { bounded, pause } from '../../base/deadlines.ts';
import type { AuthenticatorConfig } from '../../config/types.ts';
import { createCallerGoneError, type LinkContext } from './chain.ts';
import type { Circuit, CircuitPermit } from './circuit.ts';

/**
 * Takes a slot for a token, or for a user who is asked about without one. A refusal here is not an outage: the backend may be
 * healthy, and many callers must not open the circuit. The circuit is asked again after a wait, because it may have opened.
 */
export function createAdmission(
  plugin: Authenticator,
  settings: SlotSettings,
  circuit: Circuit,
  knownGood: KnownGoodTokens,
  now: () => number,
) {
  const slots = createSlots(settings);
  const isTooMany = createNameLimit(now);

  // Without a token and a name, the lookup is about the user of a session, who was let in before.
  const isKnownGood = (token: string | undefined, lookedUp: string | undefined): boolean =>
    token === undefined
      ? lookedUp === undefined || knownGood.hasName(lookedUp)
      : knownGood.has(token);
  /**
   * Known-good tokens of a name have a count of their own: someone who only knows the name can't use it up. So have lookups without a
   * token: a token of another authenticator may have the name of a user of this one.
   */
  const isOneTooMany = (name: string | undefined, token: string | undefined): boolean => {
    if (name === undefined) return false;
    const kind = token === undefined ? '=' : knownGood.has(token) ? '+' : '-';
    return isTooMany(kind + name);
  };
  const refuseLater = async (signal: AbortSignal): Promise<never> => {
    await slots.delayRefusal(signal);
    throw refusal(signal, `more than ${maxLookupsOfName} lookups of one name in a second`);
  };
  const waitForSlot = async (isGood: boolean, signal: AbortSignal): Promise<CircuitPermit> => {
    try {
      await slots.wait(isGood, signal);
    } catch {
      throw refusal(
        signal,
        `too many lookups in progress (maxConcurrent ${settings.maxConcurrent})`,
      );
    }
    try {
      return circuit.admit();
    } catch (error) {
      slots.leave();
      throw error;
    }
  };
  /** @param lookedUp the name of a user who is asked about without a token */
  const admit = (
    token: string | undefined,
    context: LinkContext,
    lookedUp?: string,
  ): CircuitPermit | Promise<CircuitPermit> => {
    const name = token === undefined ? lookedUp : plugin.claimedName?.(token);
    const permit = circuit.admit();
    const isTooMuch = isOneTooMany(name, token);
    const isGood = () => isKnownGood(token, lookedUp);
    if (!isTooMuch && slots.tryTake(isGood)) return permit;
    permit.settle('nothing');
    return isTooMuch ? refuseLater(context.signal) : waitForSlot(isGood(), context.signal);
  };
  return { admit, leave: slots.leave };
}

function refusal(caller: AbortSignal, message: string): AuthenticatorError {
  return caller.aborted ? createCallerGoneError(caller) : new AuthenticatorError('failed', message);
}

/** A refusal of too many lookups of one name is delayed by this. Milliseconds. */
const refusalDelay = 1_000;

/** `timeout` is the maximum wait for a slot, in milliseconds. */
type SlotSettings = Pick<AuthenticatorConfig, 'maxConcurrent' | 'maxWaiting' | 'timeout'>;

interface WaitingCall {
  readonly isKnownGood: boolean;
  start: () => void;
}

/**
 * The calls of one authenticator that may run at the same time, and the queue of those that wait for a slot. A flood of
 * forged tokens can't take the slots from those who were let in before: the last quarter of them is only for known-good
 * tokens. Below that, calls start in the order in which they came, so a first login gets its turn as well.
 */
function createSlots({ maxConcurrent, maxWaiting, timeout }: SlotSettings) {
  const forAnyToken = maxConcurrent - Math.floor(maxConcurrent / 4);
  const queue = new Set<WaitingCall>();
  let slotsInUse = 0;
  let delayed = 0;
  const isFull = () => queue.size + delayed >= maxWaiting;

  const nextInLine = (): WaitingCall | undefined => {
    if (slotsInUse >= maxConcurrent) return undefined;
    for (const call of queue) if (call.isKnownGood || slotsInUse < forAnyToken) return call;
    return undefined;
  };
  return {
    /**
     * @param isKnownGood says whether the token was good before; called only when that matters
     * @returns false when no slot is free
     */
    tryTake(isKnownGood: () => boolean): boolean {
      // No call in the queue could have this slot: `leave` gives each slot directly to the next one in line.
      if (slotsInUse >= forAnyToken && !(slotsInUse < maxConcurrent && isKnownGood())) return false;
      slotsInUse++;
      return true;
    },
    /** Waits in the queue. Rejects when the queue is full, at the timeout, and when the signal is aborted. */
    wait(isKnownGood: boolean, signal: AbortSignal): Promise<void> {
      if (isFull()) return Promise.reject(new Error('the queue is full'));
      const call: WaitingCall = { isKnownGood, start: () => undefined };
      return bounded<void>(
        { limit: timeout, signal },
        (start) => {
          call.start = start;
          queue.add(call);
        },
        () => queue.delete(call),
      );
    },
    /** Delays a refusal by 1 s, without a slot. It does not wait when the queue is full, nor after an abort. */
    async delayRefusal(signal: AbortSignal): Promise<void> {
      if (isFull() || signal.aborted) return;
      delayed++;
      await pause(refusalDelay, signal).catch(() => undefined);
      delayed--;
    },
    /** Gives a slot back. The caller calls it once for each slot that it took. */
    leave(): void {
      slotsInUse--;
      const next = nextInLine();
      if (next === undefined) return;
      slotsInUse++;
      next.start();
    },
  };
}

/**
 * The limit on lookups of one claimed name in a second; known-good tokens have the same limit of their own. It is more than a
 * person's tools ask for at one time, and small enough to cost the backend and this process little.
 */
const maxLookupsOfName = 20;

/**
 * Counts the lookups of each name, unknown ones included, so that it does not show which exist.
 *
 * @returns whether there are too many
 */
function createNameLimit(now: () => number): (name: string) => boolean {
  let counts = new Map<string, number>();
  let end = Number.NEGATIVE_INFINITY;
  return (name) => {
    if (now() >= end) {
      counts = new Map();
      end = now() + 1_000;
    }
    const count = (counts.get(name) ?? 0) + 1;
    counts.set(name, count);
    return count > maxLookupsOfName;
  };
}

/** Tokens that were good the last time that the backend was asked about them, and names of users who are looked up without one. */
export type KnownGoodTokens = ReturnType<ReturnType<typeof createKnownGoodTokens>>;

/** The number of tokens remembered for all authenticators together. Each takes about 100 bytes. */
const maxKnownGood = 50_000;

/**
 * Remembers digests of the tokens used last, under a random key of this process. A digest is not an HMAC: it is made for each
 * answer of every authenticator, so it must cost no more than a microsecond, and no one sees it.
 *
 * @returns a function from the fingerprint of an authenticator's config to its tokens, which outlive a reload that does not
 *   change that config
 */
export function createKnownGoodTokens() {
  const key = randomBytes(32).toString('base64');
  // `max` would allocate all slots immediately, which takes 10 ms of each start.
  const knownGood = new LRUCache<string, true>({ maxSize: maxKnownGood, sizeCalculation: () => 1 });
  return (fingerprint: string) => {
    const createDigestSet = (prefix: string) => {
      const digest = (text: string) => hash('sha256', prefix + text, 'base64url');
      return {
        has: (text: string) => knownGood.get(digest(text)) === true,
        add: (text: string) => void knownGood.set(digest(text), true),
      };
    };
    // A token may be any text, and so look like a name.
    const tokens = createDigestSet(`${key}${fingerprint} `);
    const names = createDigestSet(`${key}${fingerprint}\n`);
    return { ...tokens, hasName: names.has, addName: names.add };
  };
}
