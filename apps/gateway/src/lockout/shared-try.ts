import { randomUUID } from 'node:crypto';
import { type AttemptOutcome, AuthenticatorError } from '@sallyport/authenticator';
import { type ProblemKind, RedisProblem } from '@sallyport/redis-connection';
import type { pause } from '../deadlines.ts';
import type { SharedRedis } from '../shared-redis/types.ts';
import { judge, type Verdict } from './ledger.ts';
import { createSharedHash, type SharedHash, type SharedHashDependencies, type Tried } from './shared-hash.ts';
import type { SharedTryRecord } from './shared-records.ts';

/** One try, as all replicas see it. */
export interface SharedTry {
  /**
   * Takes a slot when it says `admit`. `wait`: others hold the last slots; ask again after a pause.
   *
   * @param slots refused tries that are allowed in the window. 0: it is sent only if its secret is known to be right
   * @param rightAt when this replica last found its secret right, in monotonic milliseconds; undefined: it never did
   * @returns undefined when this replica decides by what it knows: Redis is down, or refuses the call, or takes too long
   *   for a secret that this replica knows to be right, or that has no slot here
   * @throws AuthenticatorError `failed` when other replicas, or Redis, take too long
   */
  ask(slots: number, rightAt: number | undefined): Promise<Verdict | undefined>;
  /** Between two questions. @throws the reason of the signal when it is aborted */
  pause(signal: AbortSignal | undefined): Promise<void>;
  /** Also for a try that Redis was not asked about, or did not answer. No one waits for it. */
  settle(outcome: AttemptOutcome): void;
}

export interface SharedTryDependencies extends SharedHashDependencies {
  /** In [0, 1). */
  readonly random: () => number;
  readonly pause: typeof pause;
}

/**
 * Milliseconds that a try waits for those of other replicas, or for a late Redis. Longer than most binds take, and well
 * below the `timeout` of an authenticator (3 s), which would be an outage.
 */
const maxWait = 1_000;
/** Milliseconds between two questions, which grow by half up to the longest: a bind takes a few, or a second and more. */
const [firstPause, longestPause] = [50, 250];
/** Calls for one question: one more to learn Redis' clock, and one more past foreign or expired records. */
const maxCalls = 3;

/** Redis may be healthy and busy. A node of a cluster that is down has the same kind as a late one. */
const lateKinds: ReadonlySet<ProblemKind> = new Set(['timeout', 'node']);

export function createSharedTry(redis: SharedRedis, tried: Tried, dependencies: SharedTryDependencies): SharedTry {
  const { now, random } = dependencies;
  const hash = createSharedHash(redis, tried, dependencies);
  let id = randomUUID();
  let wait = firstPause;
  /** When the waiting ends, once it has begun. */
  let until: number | undefined;

  const settle = (outcome: AttemptOutcome) => {
    hash.settle(id, outcome);
    // A new id from now on, since the outcome of this one may still be on its way.
    id = randomUUID();
  };
  async function ask(slots: number, rightAt: number | undefined): Promise<Verdict | undefined> {
    try {
      const timeLimit = until === undefined ? undefined : Math.max(until - now(), redis.timeout);
      const { verdict, hasSlot } = await inquire(hash, { id, slots, rightAt, timeLimit });
      if (verdict !== 'admit' && hasSlot) settle('unavailable');
      if (verdict !== 'wait') return verdict;
      until ??= now() + maxWait;
      if (now() < until) return 'wait';
    } catch (error) {
      if (!(error instanceof RedisProblem)) throw error;
      const isLate = lateKinds.has(error.kind) && !redis.isDown && rightAt === undefined;
      if (isLate && until === undefined) {
        until = now() + maxWait;
        return ask(slots, rightAt);
      }
      // The error comes at once while a connection is being made.
      if (isLate && slots > 0 && until !== undefined && now() < until) return 'wait';
      // It may have taken the slot, and only the answer was lost.
      if (slots === 0) settle('unavailable');
      if (!isLate || slots === 0 || error.kind === 'node') return undefined;
      throw new AuthenticatorError('failed', 'the cache Redis is too slow to say whether this user has tries left');
    }
    if (rightAt !== undefined) return undefined;
    throw new AuthenticatorError('failed', 'tries of this name elsewhere take too long');
  }
  return {
    ask,
    async pause(signal) {
      // Half of it at random: those that wait must not all ask again at the same moment.
      await dependencies.pause(wait * (0.5 + random()), signal);
      wait = Math.min(wait * 1.5, longestPause);
    },
    settle,
  };
}

interface Question {
  readonly id: string;
  readonly slots: number;
  readonly rightAt: number | undefined;
  /** Milliseconds; undefined: `redis.timeout`. */
  readonly timeLimit: number | undefined;
}

/** One round trip, unless Redis' clock was not known, or records that do not count are in the way. */
async function inquire(
  hash: SharedHash,
  { id, slots, rightAt, timeLimit }: Question,
): Promise<{ readonly verdict: Verdict; readonly hasSlot: boolean }> {
  // A secret that this replica knows to be right needs no free slot.
  let limit: number | 'any' = rightAt === undefined ? slots : 'any';
  for (let call = 0; call < maxCalls; call++) {
    const taken = await hash.take(id, limit, timeLimit);
    if (taken === undefined) continue;
    // A secret that was right here after it was refused elsewhere is right.
    const rightSince = rightAt === undefined ? Number.NEGATIVE_INFINITY : hash.redisTime(rightAt);
    const isOf = ({ secret, state, time }: SharedTryRecord) =>
      hash.secrets.includes(secret) && (state !== 'refused' || time > rightSince);
    const isKnown = rightAt !== undefined || hash.secrets.some((secret) => taken.known.has(secret));
    const verdict = judge(taken.tries, { isOf, isKnown }, slots);
    if (verdict !== 'admit' || taken.hasSlot) return { verdict, hasSlot: taken.hasSlot };
    limit = 'any';
  }
  throw new RedisProblem('timeout', 'the clock of the cache Redis differs at each call');
}
