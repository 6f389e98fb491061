import type { RedisClient } from '@sallyport/redis-connection';
import type { SealingKey } from '../sealing/sealing-key.ts';

/** What the gateway uses its Redis for: a label of metrics. */
export type RedisUse = 'cache' | 'revocations' | 'lockout';

/** The Redis that all replicas share, as the gateway uses it. Every call ends in its time, and none costs more. */
export interface SharedRedis {
  /** Before every key. */
  readonly keyPrefix: string;
  /** The first seals, all open. */
  readonly sealingKeys: readonly SealingKey[];
  /** Milliseconds that it may cost one review in all. */
  readonly timeout: number;
  /** Two probes in a row had no answer: it is down, and not merely late. */
  readonly isDown: boolean;
  /**
   * On the way of a review: waits no longer than what is left of what Redis may cost that review, and not at all while
   * Redis is left alone for being down or slow.
   *
   * @throws RedisProblem
   */
  ask<T>(use: RedisUse, work: (client: RedisClient) => Promise<T>): Promise<T>;
  /**
   * As `ask`, for a question that a review can wait for: it has a time limit of its own, and is asked while the breaker is
   * open as well.
   *
   * @param limit milliseconds
   * @throws RedisProblem
   */
  askWithin<T>(use: RedisUse, limit: number, work: (client: RedisClient) => Promise<T>): Promise<T>;
  /** Behind a review: nobody waits for it. What fails is counted and gone, so it must not be needed. */
  tell(use: RedisUse, work: (client: RedisClient) => Promise<unknown>): void;
}
