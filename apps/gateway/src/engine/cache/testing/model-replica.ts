import type { Authenticator } from '@sallyport/authenticator';
import { type RedisClient, type RedisConnection, RedisProblem } from '@sallyport/redis-connection';
import type { CacheLifetimes, ReviewHistory } from '@sallyport/test-servers/cache-model';
import type { AnswerSource, LinkContext } from '../../chain/chain.ts';
import { withCheckedDecision } from '../../chain/decision.ts';
import { createSharedRevocations, type RevocationReader } from '../../revocation/reader.ts';
import { pollScript, readListScript } from '../../revocation/scripts.ts';
import { withBlocks } from '../../revocation/with-blocks.ts';
import { createSharedRedis, type ProbedRedis } from '../../shared-redis/shared-redis.ts';
import { createMemoryTier } from '../memory-tier.ts';
import { createRedisTier } from '../redis-tier.ts';
import { withCache } from '../with-cache.ts';

/** Milliseconds. */
export const modelLifetimes: CacheLifetimes = {
  authenticatedTtl: 60_000,
  rejectedTtl: 5_000,
  unknownTtl: 5_000,
  staleTtl: 120_000,
};

export interface ModelReplicaOptions {
  readonly name: string;
  readonly backend: Authenticator;
  /** True time, milliseconds since 1970. Redis has it, too. */
  readonly now: () => number;
  /** Until when Redis keeps its keys, in that time: its own clock can't be set. */
  readonly ends: Map<string, number>;
  /** Milliseconds that its own clock is ahead. */
  readonly skew: number;
  readonly connection: RedisConnection;
  /** Calls of Redis that have no answer yet. */
  readonly inProgress: { count: number };
  /** The sealing keys, by a letter each. The first seals. */
  readonly keys: string;
}

/** One gateway, as far as its cache and its revocation list go. */
export interface ModelReplica {
  readonly reader: RevocationReader;
  /** Whether Redis can't be reached from it. */
  isAlone: boolean;
  redis(): ProbedRedis;
  ask(token: string, audiences: readonly string[]): Promise<ReviewHistory['answer']>;
  /** Uses other sealing keys, or the same ones. The memory stays. */
  reload(keys: string): void;
}

export function createModelReplica(options: ModelReplicaOptions): ModelReplica {
  const { backend, now, skew } = options;
  // Its monotonic clock began at another time than any other's.
  const clocks = { monotonic: () => now() - 1_000_000_000 - skew * 7, wall: () => now() + skew };
  const memory = createMemoryTier(1_000);
  let redis = openRedis(options, options.keys, () => replica.isAlone);
  const { blocks, reader, revocations } = createSharedRevocations({
    redis: () => redis,
    clocks,
    replicaId: options.name,
    startsWithoutBlocks: () => true,
    onAdopted: () => {},
    onForeign: () => {},
    logger: silent,
  });

  function stack() {
    const settings = {
      ...modelLifetimes,
      store: 'shared',
      name: 'corp',
      fingerprint: 'one',
      usernamePrefix: '',
    } as const;
    const metrics = { lookup: () => {}, coalesced: () => {} };
    const tier = createRedisTier(redis, clocks);
    const checked = withCheckedDecision(backend, clocks.wall);
    const cached = withCache(checked, settings, {
      memory,
      redis: tier,
      revocations,
      clocks,
      metrics,
    });
    return withBlocks(cached, 'corp', blocks, silent);
  }
  let authenticator = stack();

  const replica: ModelReplica = {
    reader,
    isAlone: false,
    redis: () => redis,
    async ask(token, audiences) {
      let source: AnswerSource | 'backend' = 'backend';
      const onCached = (from: AnswerSource) => {
        source = from;
      };
      const context: LinkContext = { audiences, signal: new AbortController().signal, onCached };
      try {
        return { decision: await authenticator.authenticate(token, context), source };
      } catch {
        return { source };
      }
    },
    reload(keys) {
      redis = openRedis(options, keys, () => replica.isAlone);
      authenticator = stack();
    },
  };
  return replica;
}

const silent = { warn: () => {}, info: () => {} };

function openRedis(
  options: ModelReplicaOptions,
  keys: string,
  isAlone: () => boolean,
): ProbedRedis {
  return createSharedRedis(
    {
      keyPrefix: 'model:',
      sealingKeys: Array.from(keys, (key) => Buffer.alloc(32, key)),
      timeout: 10_000,
    },
    { connection: connectionOf(options, isAlone), now: () => 0, logger: silent, onError: () => {} },
  );
}

/** The real connection, of which this replica can be cut off, and behind which Redis' clock is that of the model. */
function connectionOf(
  { connection, now, ends, inProgress }: ModelReplicaOptions,
  isAlone: () => boolean,
): RedisConnection {
  return {
    ...connection,
    async run(work, signal, timeout) {
      if (isAlone()) throw new RedisProblem('connection', 'cut off');
      inProgress.count++;
      try {
        return await connection.run(
          (client) => work(withClock(client, now, ends)),
          signal,
          timeout,
        );
      } finally {
        inProgress.count--;
      }
    },
  };
}

function withClock(client: RedisClient, now: () => number, ends: Map<string, number>): RedisClient {
  const hasEnded = (key: string) => (ends.get(key) ?? Number.POSITIVE_INFINITY) <= now();
  const own = {
    // A value and its time to live are calls of their own then, and not parts of a pipeline, which has no clock of ours.
    isCluster: true,
    async eval(script: string, ...rest: [number, ...string[]]) {
      const reply = await client.eval(script, ...rest);
      const at = script === pollScript ? 2 : script === readListScript ? 1 : undefined;
      return at === undefined || !Array.isArray(reply) ? reply : reply.with(at, String(now()));
    },
    set(key: string, value: string, unit: 'PX', milliseconds: number) {
      ends.set(key, now() + milliseconds);
      return client.set(key, value, unit, milliseconds);
    },
    get: async (key: string) => (hasEnded(key) ? null : client.get(key)),
    async pttl(key: string) {
      const left = await client.pttl(key);
      return left < 0 ? left : hasEnded(key) ? -2 : (ends.get(key) ?? 0) - now();
    },
  };
  return new Proxy(client, {
    get(target, name) {
      const value: unknown = Reflect.get(Object.hasOwn(own, name) ? own : target, name);
      return typeof value === 'function' && !Object.hasOwn(own, name) ? value.bind(target) : value;
    },
  });
}
