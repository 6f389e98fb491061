import type { AttemptOutcome } from '@sallyport/authenticator';
import type { LockoutConfig } from '../config/types.ts';
import { judge, type Verdict } from './judge.ts';
import { createKnownSecrets } from './known-secrets.ts';
import { createLedger, type Ledger, type Try } from './ledger.ts';

/** What this process knows of tries. Subjects and secrets are digests. */
export interface LocalGuard {
  /** @param isKnown the secret is known to be right. Default: whether it is to this process */
  judge(subject: string, secret: string, isKnown?: boolean): Verdict;
  /** Also marks it as used now. */
  isKnown(secret: string): boolean;
  /** When it was last right, in monotonic milliseconds; undefined: it is not known. */
  rightAt(secret: string): number | undefined;
  /** It was refused elsewhere. */
  forget(secret: string): void;
  /**
   * Takes a place. One that is not settled in time counts as refused, until it is.
   *
   * @param known the secret was right before, so that there is always room
   * @returns to be called once, with what came of it
   * @param user a digest of the username
   * @throws AuthenticatorError `failed` for a new subject when there are too many
   */
  reserve(subject: string, secret: string, known: boolean, user: string): (outcome: AttemptOutcome) => void;
  /** As those of the ledger. */
  clear: Ledger['clear'];
  nextChange(subject: string, signal: AbortSignal | undefined, longest: number): Promise<void>;
}

export interface LocalGuardLimits {
  readonly maxSubjects: number;
  readonly maxKnownSecrets: number;
  readonly abandonedAfter: number;
}

/**
 * Tries of one subject under way at a time. What a directory does for one user may take it long, and all users share
 * its connections. A secret that was right has one place more, so that guesses never take the last one.
 */
const maxUnderWay = 3;

/** @param now monotonic milliseconds */
export function createLocalGuard(
  settings: () => LockoutConfig,
  now: () => number,
  limits: LocalGuardLimits,
): LocalGuard {
  const ledger = createLedger(now, () => settings().window, limits.maxSubjects);
  const known = createKnownSecrets(limits.maxKnownSecrets);

  return {
    judge(subject, secret, isKnown = known.has(secret)) {
      const isOf = (one: Try) => one.secret === secret;
      const tries = ledger.triesOf(subject);
      const verdict = judge(tries, { isOf, isKnown }, settings().maxFailures);
      const pending = tries.filter(({ state }) => state === 'pending');
      if (verdict !== 'admit' || pending.length < maxUnderWay) return verdict;
      return isKnown && pending.length === maxUnderWay && !pending.some(isOf) ? 'admit' : 'wait';
    },
    isKnown: known.has,
    rightAt: known.rightAt,
    forget: known.remove,
    reserve(subject, secret, isKnown, user) {
      const one = ledger.add(subject, secret, isKnown, user);
      const conclude = (outcome: AttemptOutcome | 'abandoned') => {
        if (outcome === 'accepted') known.add(secret, now());
        // Nor is a forgotten one known to be right: else a plugin that forgets all of them is never throttled.
        if (outcome === 'refused' || outcome === 'abandoned') known.remove(secret);
        if (outcome === 'accepted' || outcome === 'unavailable') ledger.giveBack(one);
        else ledger.count(one, outcome);
      };
      const forgotten = setTimeout(conclude, limits.abandonedAfter, 'abandoned');
      forgotten.unref();
      return (outcome) => {
        clearTimeout(forgotten);
        conclude(outcome);
      };
    },
    clear: ledger.clear,
    nextChange: ledger.nextChange,
  };
}
