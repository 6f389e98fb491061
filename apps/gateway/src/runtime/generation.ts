import type { Decision } from '@sallyport/authenticator';
import type { Registry } from 'prom-client';
import { createTokenFingerprint } from '../audit/token-fingerprint.ts';
import { createRedisTier } from '../cache/redis-tier.ts';
import type { CacheDependencies } from '../cache/store.ts';
import { type ChainContext, chain } from '../chain/chain.ts';
import type { GuardedLink } from '../chain/guard.ts';
import { identityPrefixes } from '../chain/identity-policy.ts';
import type { ProvenTokens } from '../chain/slots.ts';
import { systemClocks } from '../clocks.ts';
import type { GatewayConfig } from '../config/types.ts';
import { within } from '../deadlines.ts';
import type { WatchedFile } from '../files/watched-file.ts';
import type { Blocks } from '../revocation/types.ts';
import { type RedisPool, settingsForReviews } from '../shared-redis/redis-pool.ts';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import { assembleLink } from './assemble.ts';
import {
  type CreateDependencies,
  type CreatedAuthenticator,
  closeAuthenticator,
  createAuthenticators,
} from './authenticators.ts';

/** A config and the chain made from it. A reload makes a new one beside it, swaps, and retires it. */
export interface Generation {
  readonly config: GatewayConfig;
  readonly links: readonly GuardedLink[];
  readonly registries: readonly Registry[];
  readonly files: readonly WatchedFile[];
  /** The Redis that all replicas share. */
  readonly redis?: ProbedRedis;
  /** See `Chain`. */
  authenticate(token: string, context: ChainContext): Decision | Promise<Decision>;
  /**
   * Closes the authenticators as soon as nothing of this chain is in progress, or after `limit` milliseconds: a plugin may
   * never finish. No review may begin after this call.
   */
  retire(limit: number): Promise<void>;
}

/** What the caches of all generations share. */
export interface Caching extends Omit<CacheDependencies, 'clocks' | 'redis'> {
  readonly redis: RedisPool;
}

export interface GenerationDependencies extends CreateDependencies {
  /** Left out: nothing is cached. */
  readonly caching?: Caching;
  /** Left out: no one is blocked. */
  readonly blocks?: Blocks;
  /** Called with backend work that goes on after its review was answered. */
  readonly onAbandoned: (work: Promise<unknown>) => void;
  /** By the fingerprint of an authenticator's config. Left out: none outlives the generation. */
  readonly proven?: (fingerprint: string) => ProvenTokens;
}

/** @throws ConfigError, or Error, when something can't be made; nothing is left open then */
export async function createGeneration(
  config: GatewayConfig,
  dependencies: GenerationDependencies,
): Promise<Generation> {
  const settings = settingsForReviews(config);
  const lease = settings && (await dependencies.caching?.redis.acquire(settings, config.baseDirectory));
  const created = await createAuthenticators(config, dependencies).catch(async (error: unknown) => {
    await lease?.release();
    throw error;
  });
  const work = createWork();
  const links = assemble(config, created, lease?.redis, {
    ...dependencies,
    onAbandoned: (abandoned) => {
      work.add(abandoned);
      dependencies.onAbandoned(abandoned);
    },
  });
  const { authenticate } = chain(links, { now: systemClocks.monotonic, log: dependencies.logger });
  return {
    config,
    links,
    registries: created.map(({ registry }) => registry),
    files: [...created.flatMap(({ files }) => files), ...(lease?.files ?? [])],
    ...(lease && { redis: lease.redis }),
    authenticate(token, context) {
      const decision = authenticate(token, context);
      if (decision instanceof Promise) work.add(decision);
      return decision;
    },
    async retire(limit) {
      await work.ended(limit);
      await Promise.all(created.map((one) => closeAuthenticator(one, dependencies.logger)));
      await lease?.release();
    },
  };
}

const nothingBlocked: Blocks = { ofToken: () => undefined, ofUser: () => undefined, ofCredential: () => undefined };

function assemble(
  config: GatewayConfig,
  created: readonly CreatedAuthenticator[],
  redis: ProbedRedis | undefined,
  { logger, caching, blocks = nothingBlocked, onAbandoned, proven }: GenerationDependencies,
): readonly GuardedLink[] {
  const prefixes = identityPrefixes(config.authenticators);
  const clocks = systemClocks;
  const tier = redis && createRedisTier(redis, clocks);
  const fingerprint = createTokenFingerprint(config.cache.redis?.sealingKeys[0]);
  const provenance = config.provenance && { ...config.provenance, fingerprint };
  return created.map(({ config: one, authenticator }) =>
    assembleLink({
      config: one,
      authenticator,
      prefixes,
      apiAudiences: () => config.server.apiAudiences,
      log: logger,
      clocks,
      ...(caching && { cache: { ...caching, redis: tier } }),
      blocks,
      provenance,
      onAbandoned,
      proven: proven?.(one.fingerprint),
    }),
  );
}

/** The calls of a chain, to be waited for. */
function createWork(): { add(work: Promise<unknown>): void; ended(limit: number): Promise<void> } {
  const inProgress = new Set<Promise<unknown>>();
  const allEnded = async () => {
    while (inProgress.size > 0) await Promise.allSettled(inProgress);
  };
  return {
    add(work) {
      inProgress.add(work);
      const end = () => void inProgress.delete(work);
      work.then(end, end);
    },
    // At the limit they count as ended.
    ended: (limit) => within({ limit }, allEnded).catch(() => undefined),
  };
}
