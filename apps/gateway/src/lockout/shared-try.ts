import { randomUUID } from 'node:crypto';
import { type AttemptOutcome, AuthenticatorError } from '@sallyport/authenticator';
import { type FaultKind, RedisProblem } from '@sallyport/redis-connection';
import type { SharedRedis } from '../shared-redis/types.ts';
import { judge, type Verdict } from './judge.ts';
import type { Pause } from './pause.ts';
import { createSharedHash, type SharedHash, type SharedHashDependencies, type Tried } from './shared-hash.ts';
import type { SharedTryRecord } from './shared-records.ts';

/** One try, as all replicas see it. */
export interface SharedTry {
  /**
   * Takes a place when it says `admit`. `wait`: others hold the last places; ask again after a pause.
   *
   * @param places refused tries that are allowed in the window. 0: it goes out only if its secret is known to be right
   * @param rightAt when this replica last found its secret right, in monotonic milliseconds; undefined: it never did
   * @returns undefined when what this replica knows has to do: Redis is down or refuses what it is asked, or takes too
   *   long for a secret that this replica knows to be right, or that has no place here
   * @throws AuthenticatorError `failed` when other replicas, or Redis, take too long
   */
  ask(places: number, rightAt: number | undefined): Promise<Verdict | undefined>;
  /** Between two questions. @throws the reason of the signal when it is aborted */
  pause(signal: AbortSignal | undefined): Promise<void>;
  /** Also of a try that Redis was not asked about, or did not answer. No one waits for it. */
  settle(outcome: AttemptOutcome): void;
}

export interface SharedTryDependencies extends SharedHashDependencies {
  /** In [0, 1). */
  readonly random: () => number;
  readonly pause: Pause;
}

/**
 * Milliseconds that a try waits for those of other replicas, or for a late Redis. Longer than most binds take, and well
 * below the `timeout` of an authenticator (3 s), which would be an outage.
 */
const maxWait = 1_000;
/** Milliseconds between two questions, which grow by half up to the longest: a bind takes some, or a second and more. */
const [firstPause, longestPause] = [50, 250];
/** Calls of one question: one more to learn Redis' clock, and one more past foreign or expired records. */
const maxCalls = 3;

/** Redis may be well, and have no time. Of a cluster's node that is also what is said when it is down. */
const lateKinds: ReadonlySet<FaultKind> = new Set(['timeout', 'node']);

export function createSharedTry(redis: SharedRedis, tried: Tried, dependencies: SharedTryDependencies): SharedTry {
  const { now, random } = dependencies;
  const hash = createSharedHash(redis, tried, dependencies);
  let id = randomUUID();
  let wait = firstPause;
  /** When the waiting ends, once it has begun. */
  let until: number | undefined;

  const settle = (outcome: AttemptOutcome) => {
    hash.settle(id, outcome);
    // Another one from now on, since what was told of this one may still be on its way.
    id = randomUUID();
  };
  async function ask(places: number, rightAt: number | undefined): Promise<Verdict | undefined> {
    try {
      const patience = until === undefined ? undefined : Math.max(until - now(), redis.timeout);
      const { verdict, isPlaced } = await inquire(hash, { id, places, rightAt, patience });
      if (verdict !== 'admit' && isPlaced) settle('unavailable');
      if (verdict !== 'wait') return verdict;
      until ??= now() + maxWait;
      if (now() < until) return 'wait';
    } catch (error) {
      if (!(error instanceof RedisProblem)) throw error;
      const isLate = lateKinds.has(error.kind) && !redis.isDown;
      if (isLate && until === undefined && rightAt === undefined) {
        until = now() + maxWait;
        return ask(places, rightAt);
      }
      // It may have taken the place all the same, and only the answer was lost.
      if (places === 0) settle('unavailable');
      const mustKnow = isLate && error.kind !== 'node' && rightAt === undefined && places > 0;
      if (!mustKnow) return undefined;
      throw new AuthenticatorError('failed', 'the cache Redis is too slow to say whether this user has tries left');
    }
    if (rightAt !== undefined) return undefined;
    throw new AuthenticatorError('failed', 'tries of this name elsewhere take too long');
  }
  return {
    ask,
    async pause(signal) {
      // Half of it at random: those that wait must not all come back in one moment.
      await dependencies.pause(wait * (0.5 + random()), signal);
      wait = Math.min(wait * 1.5, longestPause);
    },
    settle,
  };
}

interface Question {
  readonly id: string;
  readonly places: number;
  readonly rightAt: number | undefined;
  /** Milliseconds; undefined: what is left of the review's budget. */
  readonly patience: number | undefined;
}

/** One round trip, unless Redis' clock was not known, or there is no room but for records that do not count. */
async function inquire(
  hash: SharedHash,
  { id, places, rightAt, patience }: Question,
): Promise<{ readonly verdict: Verdict; readonly isPlaced: boolean }> {
  // A secret that this replica knows to be right needs no room.
  let room: number | 'any' = rightAt === undefined ? places : 'any';
  for (let call = 0; call < maxCalls; call++) {
    const taken = await hash.take(id, room, patience);
    if (taken === undefined) continue;
    // What was right here since it was refused elsewhere is right.
    const rightSince = rightAt === undefined ? Number.NEGATIVE_INFINITY : hash.redisTime(rightAt);
    const isOf = ({ secret, state, time }: SharedTryRecord) =>
      hash.secrets.includes(secret) && (state !== 'refused' || time > rightSince);
    const isKnown = rightAt !== undefined || hash.secrets.some((secret) => taken.known.has(secret));
    const verdict = judge(taken.tries, { isOf, isKnown }, places);
    if (verdict !== 'admit' || taken.isPlaced) return { verdict, isPlaced: taken.isPlaced };
    room = 'any';
  }
  throw new RedisProblem('timeout', 'the clock of the cache Redis is another one at each call');
}
