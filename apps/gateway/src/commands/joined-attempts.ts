import type { LockoutConfig } from '../config/types.ts';
import { createAttempts, type LockoutGuard } from '../lockout/attempts.ts';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import type { SharedRedis } from '../shared-redis/types.ts';

/** The lockout guard of a command. */
export interface JoinedAttempts {
  readonly attempts: LockoutGuard;
  /** Resolves when what came of its tries is written. */
  written(): Promise<void>;
}

/**
 * The lockout guard as one more replica has it: what the running gateways would refuse is refused here, and adds nothing to
 * their counts. A password that goes out and is refused counts, since the directory has counted it, too.
 *
 * @param redis left out: it knows of no counts but its own
 */
export function joinAttempts(lockout: LockoutConfig, redis: ProbedRedis | undefined): JoinedAttempts {
  const told: Promise<unknown>[] = [];
  const shared: SharedRedis | undefined = redis && {
    keyPrefix: redis.keyPrefix,
    sealingKeys: redis.sealingKeys,
    timeout: redis.timeout,
    get isDown() {
      return redis.isDown;
    },
    ask: redis.ask,
    askWithin: redis.askWithin,
    tell: (use, work) => told.push(redis.probe(use, work).catch(() => undefined)),
  };
  return {
    attempts: createAttempts(() => lockout, { now: () => performance.now(), shared: () => shared }),
    async written() {
      await Promise.all(told);
    },
  };
}
