import type { Logger } from '@sallyport/authenticator';
import { type Connection, type ProblemKind, type RedisClient, RedisProblem } from '@sallyport/redis-connection';
import { createSealingKey } from '../sealing/sealing-key.ts';
import { inSpan } from '../tracing/in-span.ts';
import { createBreaker } from './breaker.ts';
import { currentBudget } from './review-budget.ts';
import type { RedisUse, SharedRedis } from './types.ts';

export interface SharedRedisSettings {
  readonly keyPrefix: string;
  /** At least 32 bytes each; the first seals, all open. */
  readonly sealingKeys: readonly Uint8Array[];
  /** Milliseconds: what it may cost one review in all. */
  readonly timeout: number;
}

export interface SharedRedisDependencies {
  readonly connection: Connection;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly logger: Pick<Logger, 'warn' | 'info'>;
  readonly onError: (use: RedisUse) => void;
}

/** That Redis, and how it is found out whether it is well. */
export interface ProbedRedis extends SharedRedis {
  /** It is down or slow, and reviews do not ask it. */
  readonly isLeftAlone: boolean;
  /**
   * A call that no review waits for, also while Redis is left alone: whether it comes in the time of a review decides
   * whether reviews ask again.
   *
   * @throws RedisProblem, after the time that a command may take
   */
  probe<T>(use: RedisUse, work: (client: RedisClient) => Promise<T>): Promise<T>;
}

/** Calls behind reviews that may be under way: more are dropped, since a Redis that is slow would gather them. */
const maxTold = 1_000;

/** The server, or the way to it: what another call would meet, too. Errors that it answers come at once. */
const outages: ReadonlySet<ProblemKind> = new Set([
  'timeout',
  'connection',
  'tls',
  'authentication',
  'cluster',
  'node',
]);

export function createSharedRedis(settings: SharedRedisSettings, dependencies: SharedRedisDependencies): ProbedRedis {
  const { connection, now, logger } = dependencies;
  const { run, runTraced } = createCalls(dependencies);
  const breaker = createBreaker({ now, onChange: (isOpen) => tellBreaker(isOpen, connection.name, logger) });
  let told = 0;
  /** Probes in a row without an answer. */
  let unanswered = 0;

  return {
    keyPrefix: settings.keyPrefix,
    timeout: settings.timeout,
    sealingKeys: settings.sealingKeys.map((secret) => createSealingKey(secret, settings.keyPrefix)),
    get isLeftAlone() {
      return breaker.isOpen;
    },
    get isDown() {
      return unanswered >= 2;
    },
    async ask(use, work) {
      const budget = currentBudget();
      const left = settings.timeout - budget.spent;
      if (breaker.isOpen || left < 1) throw new RedisProblem('timeout', `${connection.name}: left alone`);
      const start = now();
      try {
        const answer = await runTraced(use, work, left);
        breaker.note(false);
        return answer;
      } catch (error) {
        // Of a review that had little left, it says little of Redis that this was not enough.
        if (left > settings.timeout / 2) breaker.note(isOutage(error));
        throw error;
      } finally {
        budget.spent += now() - start;
      }
    },
    askWithin: (use, limit, work) => runTraced(use, work, limit),
    tell(use, work) {
      // A try at a login that is not settled counts as refused: that word goes out whatever Redis is like.
      if ((breaker.isOpen && use !== 'lockout') || told >= maxTold) return;
      told++;
      runTraced(use, work)
        .catch(() => {})
        .finally(() => told--);
    },
    async probe(use, work) {
      const start = now();
      try {
        const answer = await run(use, work);
        unanswered = 0;
        breaker.probe(now() - start > settings.timeout);
        return answer;
      } catch (error) {
        unanswered = isOutage(error) ? unanswered + 1 : 0;
        breaker.probe(isOutage(error));
        throw error;
      }
    },
  };
}

/** Calls of the connection, whose failures are counted by what they were for. */
function createCalls({ connection, onError }: Pick<SharedRedisDependencies, 'connection' | 'onError'>) {
  async function run<T>(use: RedisUse, work: (client: RedisClient) => Promise<T>, limit?: number): Promise<T> {
    try {
      return await connection.run(work, new AbortController().signal, limit);
    } catch (error) {
      onError(use);
      throw error;
    }
  }
  /** For a review, in whose trace it stands. */
  function runTraced<T>(use: RedisUse, work: (client: RedisClient) => Promise<T>, limit?: number): Promise<T> {
    return inSpan('redis', { kind: 'client' }, (span) => {
      span.set({ 'db.system.name': 'redis', 'sallyport.redis.use': use });
      return run(use, work, limit).catch((error: unknown) => {
        if (error instanceof RedisProblem) span.fail(error.kind);
        throw error;
      });
    });
  }
  return { run, runTraced };
}

function tellBreaker(isOpen: boolean, servers: string, logger: SharedRedisDependencies['logger']): void {
  if (isOpen) logger.warn({ servers }, 'the cache Redis is left alone: it is down or slow');
  else logger.info({ servers }, 'the cache Redis is asked again');
}

function isOutage(error: unknown): boolean {
  return !(error instanceof RedisProblem) || outages.has(error.kind);
}
