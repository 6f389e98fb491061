import type { AttemptOutcome } from '@sallyport/authenticator';
import { LRUCache } from 'lru-cache';
import type { LockoutConfig } from '../config/types.ts';
import { createLedger, judge, type Ledger, type Try, type Verdict } from './ledger.ts';

/** What this process knows of tries. Subjects and secrets are digests. */
export interface LocalGuard extends Pick<Ledger, 'clear' | 'nextChange'> {
  /** @param isKnown the secret is known to be right. Default: whether it is to this process */
  judge(subject: string, secret: string, isKnown?: boolean): Verdict;
  /** Also marks it as used now. */
  isKnown(secret: string): boolean;
  /** When it was last right, in monotonic milliseconds; undefined: it is not known to be right. */
  rightAt(secret: string): number | undefined;
  /** It was refused elsewhere. */
  forget(secret: string): void;
  /**
   * Takes a slot. One that is not settled in time counts as refused, until it is.
   *
   * @param known the secret was right before, so that there is always a slot
   * @param user a digest of the username
   * @returns to be called once, with the outcome
   * @throws AuthenticatorError `failed` for a new subject when there are too many
   */
  reserve(subject: string, secret: string, known: boolean, user: string): (outcome: AttemptOutcome) => void;
}

export interface LocalGuardLimits {
  readonly maxSubjects: number;
  readonly maxKnownSecrets: number;
  readonly abandonedAfter: number;
}

/**
 * Tries of one subject in progress at a time. What a directory does for one user may take long, and all users share its
 * connections. A secret that was right has one slot more, so that guesses never take the last one.
 */
const maxUnderWay = 3;

/** @param now monotonic milliseconds */
export function createLocalGuard(
  settings: () => LockoutConfig,
  now: () => number,
  limits: LocalGuardLimits,
): LocalGuard {
  const ledger = createLedger(now, () => settings().window, limits.maxSubjects);
  /** Digests of secrets that were right the last time they were tried, and when that was. */
  const known = new LRUCache<string, number>({ max: limits.maxKnownSecrets });
  const isKnown = (secret: string) => known.get(secret) !== undefined;

  return {
    judge(subject, secret, isRight = isKnown(secret)) {
      const isOf = (one: Try) => one.secret === secret;
      const tries = ledger.triesOf(subject);
      const verdict = judge(tries, { isOf, isKnown: isRight }, settings().maxFailures);
      const pending = tries.filter(({ state }) => state === 'pending');
      if (verdict !== 'admit' || pending.length < maxUnderWay) return verdict;
      return isRight && pending.length === maxUnderWay && !pending.some(isOf) ? 'admit' : 'wait';
    },
    isKnown,
    rightAt: (secret) => known.peek(secret),
    forget: (secret) => void known.delete(secret),
    reserve(subject, secret, isRight, user) {
      const one = ledger.add(subject, secret, isRight, user);
      const conclude = (outcome: AttemptOutcome | 'abandoned') => {
        if (outcome === 'accepted') known.set(secret, now());
        // An abandoned one is not known to be right either: else a plugin that abandons all of them is never throttled.
        if (outcome === 'refused' || outcome === 'abandoned') known.delete(secret);
        if (outcome === 'accepted' || outcome === 'unavailable') ledger.giveBack(one);
        else ledger.count(one, outcome);
      };
      const timer = setTimeout(conclude, limits.abandonedAfter, 'abandoned').unref();
      return (outcome) => {
        clearTimeout(timer);
        conclude(outcome);
      };
    },
    clear: ledger.clear,
    nextChange: ledger.nextChange,
  };
}

/** Who is locked out, as far as this process knows: it refused one of their tries as throttled. */
export interface LockedOut {
  /** Subjects and users are digests. */
  throttled(authenticator: string, subject: string, user: string): void;
  /** A password that was not known to be right was sent: the lock has ended. */
  admitted(subject: string): void;
  clear(user: string): void;
  count(authenticator: string): number;
}

/** Locked out subjects: as many as the guard counts subjects. */
const maxLocked = 100_000;

/**
 * A lock ends when the window of the last refused try has passed. That one was before the last throttled try, so a
 * subject that does not come back is dropped a window after that, at the latest.
 */
export function createLockedOut(now: () => number, window: () => number): LockedOut {
  const locks = new Map<string, { readonly authenticator: string; readonly user: string; readonly at: number }>();
  return {
    throttled(authenticator, subject, user) {
      if (locks.size < maxLocked || locks.has(subject)) locks.set(subject, { authenticator, user, at: now() });
    },
    admitted: (subject) => void locks.delete(subject),
    clear(user) {
      for (const [subject, lock] of locks) if (lock.user === user) locks.delete(subject);
    },
    count(authenticator) {
      const since = now() - window();
      for (const [subject, { at }] of locks) if (at <= since) locks.delete(subject);
      return [...locks.values()].filter((lock) => lock.authenticator === authenticator).length;
    },
  };
}
