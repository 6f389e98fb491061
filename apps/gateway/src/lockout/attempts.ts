import type { AdmittedAttempt, AttemptOutcome, Attempts } from '@sallyport/authenticator';
import type { IdentityConfig, LockoutConfig } from '../config/types.ts';
import type { SharedRedis } from '../shared-redis/types.ts';
import { createFingerprint } from './fingerprint.ts';
import type { Verdict } from './judge.ts';
import { createLocalGuard } from './local-guard.ts';
import { createLockedOut } from './locked-out.ts';
import { type Pause, pause } from './pause.ts';
import { createSharedTry, type SharedTry, type SharedTryDependencies } from './shared-try.ts';

export interface AttemptsDependencies {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Names with tries at one time. See {@link createAttempts} for what happens beyond. */
  readonly maxSubjects?: number;
  /** Secrets known to be right. */
  readonly maxKnownSecrets?: number;
  /** Milliseconds. Default {@link abandonedAfter}. */
  readonly abandonedAfter?: number;
  /** The Redis that all replicas share, if there is one. Read at each try, so that a reload holds at once. */
  readonly shared?: () => SharedRedis | undefined;
  /** Called with how many records in that Redis were removed because no gateway with its sealing keys wrote them. */
  readonly onForeign?: (records: number) => void;
  /** In [0, 1). */
  readonly random?: () => number;
  /** Between two questions whether others hold the last places still. @throws the reason of the signal, once aborted */
  readonly pause?: Pause;
}

/**
 * A try that is not settled for so long is taken for refused: its plugin has forgotten it, or its replica has died, and
 * what the directory counted is not known. A later `settle` still puts it right.
 */
export const abandonedAfter = 60_000;

/** Milliseconds that a try waits for others here: well below an authenticator's `timeout`, which counts as an outage. */
const maxWait = 1_000;

/** The guards of all authenticators by their names, and what an operator asks of them. */
export interface LockoutGuard {
  (authenticator: string): Attempts;
  /**
   * Forgets the refused tries of a user that this process counts, with each authenticator that may have them.
   *
   * @param name as Kubernetes sees it
   */
  unlock(name: string, authenticators: readonly (Pick<IdentityConfig, 'username'> & { readonly name: string })[]): void;
  /** How many are locked out, as far as this process knows. */
  lockedOut(authenticator: string): number;
}

/**
 * The lockout guard, for the whole life of this process: counts outlive a reload of the config. Each authenticator has
 * its own counts, since its directory has.
 *
 * At most `maxFailures` tries of a subject are refused in any `window`. A try takes its place before it goes out; while
 * the last places are held by tries still under way, others wait for these to end, so that many first logins at once
 * are not throttled. They wait 1 s at most, and few of them: who waits holds a slot that all users share. On top of that, a secret that was right the last time goes out always, one at a time: should the
 * password have been changed meanwhile, that costs one refused try more for each such secret, once.
 *
 * With a shared Redis all that holds for all replicas together. What this process refused in the window never goes out
 * again; whatever else it says, Redis is asked as well: it may have no place left, and it may know a secret to be right
 * that this process has never seen. Both must have a place for a secret that neither knows, so what was counted here
 * while Redis was away, or what Redis has lost, still counts here. When Redis is down, this process decides alone: the
 * directory may then see `maxFailures` refused tries from each replica, and so it may after Redis has lost its counts (a
 * failover, an eviction). A Redis that is merely late is waited for, but for a secret that this process knows to be right.
 *
 * Only what a replica wrote counts in Redis (see `shared-records.ts`): a secret that this process knows to be right is
 * refused only when another replica saw it refused since.
 *
 * Memory. Refused tries: at most `maxFailures` and a few for each name that a backend knows, gone with the window. A
 * count is never dropped before its time to make room, or a flood of names could set back the one that protects an
 * account: with `maxSubjects` names counted, a new name can't be checked until a window ends (secrets that this process
 * knows to be right still go out). Right secrets: the `maxKnownSecrets` used last; one pushed out is an unknown secret
 * again. Only somebody who knows a password can add to these.
 *
 * @param settings read at each try, so that a reload holds at once
 */
export function createAttempts(settings: () => LockoutConfig, dependencies: AttemptsDependencies): LockoutGuard {
  const fingerprint = createFingerprint();
  const limits = { maxSubjects: 100_000, maxKnownSecrets: 50_000, abandonedAfter, ...dependencies };
  const local = createLocalGuard(settings, dependencies.now, limits);
  const lockedOut = createLockedOut(dependencies.now, () => settings().window);
  const userOf = (authenticator: string, username: string) => fingerprint('user', authenticator, username);
  const sharedTry = sharedTryDependencies(settings, limits);

  const guardOf = (authenticator: string): Attempts => ({
    async admit(name, password, signal, username = name) {
      const user = userOf(authenticator, username);
      const subject = fingerprint(authenticator, name);
      const secret = fingerprint(authenticator, name, password);
      const redis = dependencies.shared?.();
      const shared = redis && createSharedTry(redis, { authenticator, name, password, username }, sharedTry);
      // Without a place here, Redis is asked once whether it knows the secret. What this process knows it need not say.
      let mayBeKnown = true;
      const until = dependencies.now() + maxWait;
      for (;;) {
        const own = local.judge(subject, secret);
        if (own === 'invalid-credentials') return { admitted: false, reason: own };
        // Before Redis is asked, since others ask here meanwhile. It is kept while Redis says to wait: only tries that
        // went out hold places there, so no two wait for each other, and those behind it here need not ask so often.
        const place = own === 'admit' ? local.reserve(subject, secret, local.isKnown(secret), user) : undefined;
        let verdict: Verdict = own;
        let answer: Verdict | undefined;
        if (shared && (place || (mayBeKnown && !local.isKnown(secret)))) {
          answer = await askShared(shared, settings().maxFailures, local.rightAt(secret), place, signal);
          if (answer === 'throttled' && !place) mayBeKnown = false;
          else if (answer) verdict = answer;
        }
        // Redis knows it to be right: one at a time, even if the record of the one under way was lost or removed there.
        if (verdict === 'admit' && !place) {
          verdict = local.judge(subject, secret, true);
          if (verdict !== 'admit') shared?.settle('unavailable');
        }
        if (verdict === 'admit') {
          if (place && !local.isKnown(secret)) lockedOut.admitted(authenticator, subject);
          return admitted(place ?? local.reserve(subject, secret, true, user), shared);
        }
        place?.('unavailable');
        if (verdict === 'invalid-credentials') local.forget(secret);
        if (verdict === 'throttled') lockedOut.throttled(authenticator, subject, user);
        if (verdict !== 'wait') return { admitted: false, reason: verdict };
        // Those that were under way here may have ended while Redis was asked.
        const next = local.judge(subject, secret);
        if (next === 'wait' || answer === 'admit') await local.nextChange(subject, signal, until - dependencies.now());
        else if (next === 'throttled' && answer === 'wait') await shared?.pause(signal);
      }
    },
  });
  const unlock = unlockWith((authenticator, username) => {
    local.clear(userOf(authenticator, username));
    lockedOut.clear(authenticator, userOf(authenticator, username));
  });
  return Object.assign(guardOf, { unlock, lockedOut: lockedOut.count });
}

function sharedTryDependencies(
  settings: () => LockoutConfig,
  dependencies: AttemptsDependencies & { readonly abandonedAfter: number },
): SharedTryDependencies {
  // Redis' clock is as good as a guess until it has answered once.
  const redisClock = { offset: Date.now() - dependencies.now() };
  return { random: Math.random, pause, onForeign: () => undefined, ...dependencies, settings, redisClock };
}

function unlockWith(forget: (authenticator: string, username: string) => void): LockoutGuard['unlock'] {
  return (name, authenticators) => {
    for (const { name: authenticator, username } of authenticators) {
      if (name.startsWith(username.prefix)) forget(authenticator, name.slice(username.prefix.length));
    }
  };
}

type Place = (outcome: AttemptOutcome) => void;

/**
 * Whoever has a place here keeps it and waits for those of other replicas; whoever has none waits here.
 * Gives all places back when the caller has gone, or it can't be told whether the try may go out.
 */
async function askShared(
  shared: SharedTry,
  maxFailures: number,
  rightAt: number | undefined,
  place: Place | undefined,
  signal: AbortSignal | undefined,
) {
  try {
    let answer = await shared.ask(place ? maxFailures : 0, rightAt);
    while (answer === 'wait' && place) {
      await shared.pause(signal);
      answer = await shared.ask(maxFailures, rightAt);
    }
    signal?.throwIfAborted();
    return answer;
  } catch (error) {
    shared.settle('unavailable');
    place?.('unavailable');
    throw error;
  }
}

function admitted(place: Place, shared: SharedTry | undefined): AdmittedAttempt {
  let settled = false;
  return {
    admitted: true,
    async settle(outcome) {
      if (settled) return;
      settled = true;
      // Redis first: whoever waits here for this place asks there next.
      shared?.settle(outcome);
      place(outcome);
    },
  };
}
