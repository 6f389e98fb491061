import type { AttemptOutcome, Attempts } from '@sallyport/authenticator';
import type { LockoutConfig } from '../config/types.ts';
import { createFingerprint } from './fingerprint.ts';
import { createKnownSecrets } from './known-secrets.ts';
import { createLedger, type Try } from './ledger.ts';

export interface AttemptsDependencies {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Names with tries at one time. See {@link createAttempts} for what happens beyond. */
  readonly maxSubjects?: number;
  /** Secrets known to be right. */
  readonly maxKnownSecrets?: number;
}

/**
 * A try that is not settled for so long is taken for refused: its plugin has forgotten it, and what the directory
 * counted is not known. A later `settle` still puts it right.
 */
export const abandonedAfter = 60_000;

/**
 * The lockout guard of this process, for the whole life of it: counts outlive a reload of the config. Each
 * authenticator has its own counts, since its directory has.
 *
 * At most `maxFailures` tries of a subject are refused in any `window`. A try takes its place before it goes out; while
 * the last places are held by tries still under way, others wait for these to end, so that many first logins at once
 * are not throttled. On top of that, a secret that was right the last time goes out always, one at a time: should the
 * password have been changed meanwhile, that costs one refused try more for each such secret, once.
 *
 * Memory. Refused tries: at most `maxFailures` and a few for each name that a backend knows, gone with the window. A
 * count is never dropped before its time to make room, or a flood of names could set back the one that protects an
 * account: with `maxSubjects` names counted, a new name can't be checked until a window ends (known-good secrets still
 * go out). Right secrets: the `maxKnownSecrets` used last; one pushed out is an unknown secret again. Only somebody
 * who knows a password can add to these.
 *
 * @param settings read at each try, so that a reload holds at once
 * @returns the guard of the authenticator of that name
 */
export function createAttempts(
  settings: () => LockoutConfig,
  dependencies: AttemptsDependencies,
): (authenticator: string) => Attempts {
  const fingerprint = createFingerprint();
  const ledger = createLedger(dependencies.now, () => settings().window, dependencies.maxSubjects ?? 100_000);
  const known = createKnownSecrets(dependencies.maxKnownSecrets ?? 50_000);

  /** `wait`: whether it may go out hangs on what comes of the tries under way. */
  const judge = (subject: string, secret: string): 'admit' | 'wait' | 'invalid-credentials' | 'throttled' => {
    const tries = ledger.triesOf(subject);
    const failures = tries.filter((one) => one.state !== 'pending');
    if (failures.some((one) => one.secret === secret && one.state === 'refused')) return 'invalid-credentials';
    if (tries.length < settings().maxFailures) return 'admit';
    if (known.has(secret))
      return tries.some((one) => one.secret === secret && one.state === 'pending') ? 'wait' : 'admit';
    return failures.length < settings().maxFailures ? 'wait' : 'throttled';
  };

  const open = (subject: string, secret: string) => {
    const one = ledger.add(subject, secret, known.has(secret));
    const forgotten = setTimeout(() => conclude(one, 'abandoned'), abandonedAfter);
    forgotten.unref();
    let settled = false;
    return async (outcome: AttemptOutcome) => {
      if (settled) return;
      settled = true;
      clearTimeout(forgotten);
      conclude(one, outcome);
    };
  };

  const conclude = (one: Try, outcome: AttemptOutcome | 'abandoned') => {
    if (outcome === 'accepted') known.add(one.secret);
    // Nor is a forgotten one known to be right: else a plugin that forgets all of them is never throttled.
    if (outcome === 'refused' || outcome === 'abandoned') known.remove(one.secret);
    if (outcome === 'accepted' || outcome === 'unavailable') ledger.giveBack(one);
    else ledger.count(one, outcome);
  };

  return (authenticator) => ({
    async admit(name, password, signal) {
      const subject = fingerprint(authenticator, name);
      const secret = fingerprint(authenticator, name, password);
      for (;;) {
        const verdict = judge(subject, secret);
        if (verdict === 'admit') return { admitted: true, settle: open(subject, secret) };
        if (verdict !== 'wait') return { admitted: false, reason: verdict };
        await ledger.nextChange(subject, signal);
      }
    },
  });
}
