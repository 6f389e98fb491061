import type { RedisClient } from '@sallyport/redis-connection';
import type { SealingKey } from '../sealing/sealing-key.ts';

/** What the gateway uses its Redis for: a label of metrics. */
export type RedisUse = 'cache' | 'revocations' | 'lockout';

/** The Redis that all replicas share, as the gateway uses it. Every call has a deadline. */
export interface SharedRedis {
  /** Before every key. */
  readonly keyPrefix: string;
  /** The first seals, all open. */
  readonly sealingKeys: readonly SealingKey[];
  /** Milliseconds that a review waits for one call. */
  readonly timeout: number;
  /** Two probes in a row had no answer: Redis is down, and not merely late. */
  readonly isDown: boolean;
  /**
   * On the path of a review: it waits for `timeout` at most, and does not call Redis at all while the circuit is open.
   *
   * @throws RedisProblem
   */
  ask<T>(use: RedisUse, work: (client: RedisClient) => Promise<T>): Promise<T>;
  /**
   * As `ask`, for a question that a review can wait for: it has a deadline of its own, and calls Redis while the circuit
   * is open as well.
   *
   * @param limit milliseconds
   * @throws RedisProblem
   */
  askWithin<T>(use: RedisUse, limit: number, work: (client: RedisClient) => Promise<T>): Promise<T>;
  /** Behind a review: no one waits for it. Failures are only counted, so nothing may depend on it. */
  send(use: RedisUse, work: (client: RedisClient) => Promise<unknown>): void;
}
