import type { Logger } from '@sallyport/authenticator';
import { durationText } from '@sallyport/plugin-kit';
import {
  type ProblemKind,
  type RedisClient,
  type RedisConnection,
  RedisProblem,
} from '@sallyport/redis-connection';
import { inSpan } from '../../base/tracing/in-span.ts';
import type { CacheRedisConfig } from '../../config/types.ts';
import { createSealingKey } from '../sealing/seal.ts';
import { createRedisCircuit } from './redis-circuit.ts';

/** What the gateway uses its Redis for. It is a metric label. */
export type RedisUse = 'cache' | 'revocations' | 'lockout' | 'login' | 'factor';

/** The settings of the cache Redis. Here `timeout` is for one call, in milliseconds: see `settingsForReviews`. */
export type SharedRedisSettings = Omit<CacheRedisConfig, 'connection' | 'startWithoutBlocks'>;

export interface SharedRedisDependencies {
  readonly connection: RedisConnection;
  /** The monotonic clock, in milliseconds. */
  readonly now: () => number;
  readonly logger: Pick<Logger, 'warn' | 'info'>;
  readonly onError: (use: RedisUse) => void;
}

/** Pairs the fields and values of a hash, which a script returns in turn. */
export function toPairs(fields: readonly string[]): (readonly [field: string, value: string])[] {
  return Array.from({ length: fields.length / 2 }, (_, index) => [
    fields[2 * index] ?? '',
    fields[2 * index + 1] ?? '',
  ]);
}

type Work<T> = (client: RedisClient) => Promise<T>;

/** The shared Redis, and the calls by which the gateway finds out whether it is healthy. */
export type ProbedRedis = ReturnType<typeof createSharedRedis>;

/** The Redis that all replicas share, as the path of a review uses it. */
export type SharedRedis = Omit<ProbedRedis, 'probe' | 'isCircuitOpen'>;

/** The maximum number of background calls in progress. More are dropped: with a slow Redis they would pile up. */
const maxInBackground = 1_000;

/**
 * Problems of the server or the network, with which another call would fail too. A server that answers with an error is up.
 */
const outages: ReadonlySet<ProblemKind> = new Set([
  'timeout',
  'connection',
  'tls',
  'authentication',
  'cluster',
  'node',
]);

/** Makes the calls of a shared Redis. Every call has a deadline, and throws RedisProblem. */
export function createSharedRedis(
  settings: SharedRedisSettings,
  dependencies: SharedRedisDependencies,
) {
  const { connection, now, logger } = dependencies;
  const { timeout } = settings;
  const { run, runTraced } = createCalls(dependencies);
  /** The last call that counted as an outage. */
  let lastOutage: { readonly took: string; readonly reason: string } | undefined;
  const circuit = createRedisCircuit(now, (isOpen) => {
    const servers = connection.name;
    const limit = `${durationText(Math.round(timeout))}, the share of one call in cache.redis.timeout`;
    if (isOpen)
      logger.warn(
        { servers, ...lastOutage, limit },
        'circuit of the cache Redis opened: it is down or slow',
      );
    else logger.info({ servers }, 'circuit of the cache Redis closed: it has recovered');
  });
  /** Remembers a call that is an outage. @param start when it began, by `now` */
  const noteOutage = (start: number, error?: unknown) => {
    const reason = error instanceof RedisProblem ? error.kind : 'timeout';
    lastOutage = { took: durationText(Math.round(now() - start)), reason };
  };
  let inBackground = 0;
  /** The number of probes in a row without an answer. */
  let unanswered = 0;

  return {
    /** Every key begins with it. */
    keyPrefix: settings.keyPrefix,
    timeout,
    /** The first key seals, all open. */
    sealingKeys: settings.sealingKeys.map((secret) => createSealingKey(secret, settings.keyPrefix)),
    /** Whether Redis is down or slow, so that reviews do not call it. */
    get isCircuitOpen(): boolean {
      return circuit.isOpen;
    },
    /** Whether two probes in a row had no answer: Redis is down, and not merely late. */
    get isDown(): boolean {
      return unanswered >= 2;
    },
    /** Makes a call that a review waits for, `timeout` at most. It does not call Redis while the circuit is open. */
    async ask<T>(use: RedisUse, work: Work<T>): Promise<T> {
      if (circuit.isOpen) throw new RedisProblem('timeout', `${connection.name}: circuit open`);
      const start = now();
      try {
        const answer = await runTraced(use, work, timeout);
        circuit.record(false);
        return answer;
      } catch (error) {
        if (isOutage(error)) noteOutage(start, error);
        circuit.record(isOutage(error));
        throw error;
      }
    },
    /** Makes a call even while the circuit is open. @param limit milliseconds. Undefined: the deadline of a command */
    askWithin: <T>(use: RedisUse, limit: number | undefined, work: Work<T>): Promise<T> =>
      runTraced(use, work, limit),
    /** Makes a call in the background. Failures are only counted, so nothing may depend on it. */
    send(use: RedisUse, work: Work<unknown>): void {
      // A login attempt that is not settled counts as refused, so its outcome is sent even while the circuit is open.
      if ((circuit.isOpen && use !== 'lockout') || inBackground >= maxInBackground) return;
      inBackground++;
      runTraced(use, work)
        .catch(() => {})
        .finally(() => inBackground--);
    },
    /**
     * Makes a call that no review waits for, even while the circuit is open. Whether its answer comes within `timeout` opens or
     * closes the circuit. Its own deadline is that of a command.
     */
    async probe<T>(use: RedisUse, work: Work<T>): Promise<T> {
      const start = now();
      try {
        const answer = await run(use, work);
        unanswered = 0;
        const isSlow = now() - start > timeout;
        if (isSlow) noteOutage(start);
        circuit.probe(isSlow);
        return answer;
      } catch (error) {
        if (isOutage(error)) noteOutage(start, error);
        unanswered = isOutage(error) ? unanswered + 1 : 0;
        circuit.probe(isOutage(error));
        throw error;
      }
    },
  };
}

/** Makes calls over the connection, and counts failures by their use. */
function createCalls({ connection, onError }: SharedRedisDependencies) {
  async function run<T>(use: RedisUse, work: Work<T>, limit?: number): Promise<T> {
    try {
      return await connection.run(work, undefined, limit);
    } catch (error) {
      onError(use);
      throw error;
    }
  }
  /** Makes a call that is a span of a review's trace. */
  function runTraced<T>(use: RedisUse, work: Work<T>, limit?: number): Promise<T> {
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

function isOutage(error: unknown): boolean {
  return !(error instanceof RedisProblem) || outages.has(error.kind);
}
