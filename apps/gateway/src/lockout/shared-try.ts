import { createHash, randomUUID } from 'node:crypto';
import { type AttemptOutcome, AuthenticatorError } from '@sallyport/authenticator';
import { type RedisClient, RedisProblem } from '@sallyport/redis-connection';
import type { LockoutConfig } from '../config/types.ts';
import { withReviewBudget } from '../shared-redis/review-budget.ts';
import type { SharedRedis } from '../shared-redis/types.ts';
import { createFingerprint } from './fingerprint.ts';
import type { Verdict } from './local-guard.ts';
import type { Pause } from './pause.ts';
import { admitScript, settleScript } from './shared-scripts.ts';

/** One try, as all replicas see it. */
export interface SharedTry {
  /**
   * Takes a place when it says `admit`.
   *
   * @param places refused tries that are allowed in the window. 0: it goes out only if its secret is known to be right
   * @param known this replica knows its secret to be right
   * @returns undefined when Redis can't be asked: what this replica knows has to do
   */
  ask(places: number, known: boolean): Promise<Verdict | undefined>;
  /**
   * Between two questions whether others hold the last places still.
   *
   * @throws AuthenticatorError `failed` when that has taken too long
   * @throws the reason of the signal when it is aborted
   */
  pause(signal: AbortSignal | undefined): Promise<void>;
  /** Also of a try that Redis was not asked about, or did not answer. Nobody waits for it. */
  settle(outcome: AttemptOutcome): void;
}

/** What goes out, in clear: it stays in this process. */
export interface Tried {
  readonly authenticator: string;
  readonly name: string;
  readonly password: string;
}

export interface SharedTryDependencies {
  readonly settings: () => LockoutConfig;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** In [0, 1). */
  readonly random: () => number;
  readonly pause: Pause;
  readonly abandonedAfter: number;
}

/** Milliseconds. Of a secret that is not used for so long, nobody needs to be sure of a try at any time. */
const knownFor = 30 * 24 * 60 * 60 * 1000;
/** Of one subject: a password, and as many more as a directory takes beside it (tokens of applications, say). */
const maxKnown = 8;
/** Milliseconds that a try waits for those of other replicas. Longer than a bind takes, and than its caller waits. */
const maxWait = 5_000;
/** Milliseconds between two questions, which grow by half up to the longest: a bind takes some, or a second and more. */
const [firstPause, longestPause] = [50, 250];

export function createSharedTry(redis: SharedRedis, tried: Tried, dependencies: SharedTryDependencies): SharedTry {
  const { settings, now, random, abandonedAfter } = dependencies;
  const key = `${redis.keyPrefix}lockout:{${subjectDigest(tried)}}`;
  const secrets = secretDigests(redis, tried);
  let id = randomUUID();
  let wait = firstPause;
  let until: number | undefined;
  const call = (script: string, ...own: (string | number)[]) => {
    const lasting = [settings().window, abandonedAfter, knownFor];
    const rest = [id, ...lasting, ...own, ...secrets];
    return (client: RedisClient) => client.eval(script, 1, key, ...rest);
  };
  const settle = (outcome: AttemptOutcome) => redis.tell('lockout', call(settleScript, outcome, maxKnown));

  return {
    async ask(places, known) {
      // Another than before, since what was told of that one may still be on its way.
      id = randomUUID();
      const ask = () => redis.ask('lockout', call(admitScript, places, known ? 1 : 0)) as Promise<Verdict>;
      try {
        // It is for others that it waits, and not for Redis: many questions must not use up what that may cost.
        return await (until === undefined ? ask() : withReviewBudget(ask));
      } catch (error) {
        if (!(error instanceof RedisProblem)) throw error;
        // It may have taken the place all the same, and only the answer was lost.
        if (places === 0) settle('unavailable');
        return undefined;
      }
    },
    async pause(signal) {
      until ??= now() + maxWait;
      if (now() >= until) throw new AuthenticatorError('failed', 'tries of this name elsewhere take too long');
      // Half of it at random: those that wait must not all come back in one moment.
      await dependencies.pause(wait * (0.5 + random()), signal);
      wait = Math.min(wait * 1.5, longestPause);
    },
    settle,
  };
}

/** Names are no secrets, so it needs no key: counts stay where they are when the keys change. */
function subjectDigest({ authenticator, name }: Tried): string {
  return createHash('sha256')
    .update(JSON.stringify([authenticator, name]))
    .digest('base64url');
}

/** The first is the one to write. */
function secretDigests({ sealingKeys }: SharedRedis, { authenticator, name, password }: Tried): string[] {
  return sealingKeys.map((key) => createFingerprint(key.derive('lockout secrets'))(authenticator, name, password));
}
