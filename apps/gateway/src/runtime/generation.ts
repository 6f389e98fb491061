import type { Decision } from '@sallyport/authenticator';
import type { Registry } from 'prom-client';
import type { CacheDependencies } from '../cache/with-cache.ts';
import { type ChainContext, chain } from '../chain/chain.ts';
import type { GuardedLink } from '../chain/guard.ts';
import { systemClocks } from '../clocks.ts';
import type { GatewayConfig } from '../config/types.ts';
import { within } from '../deadlines.ts';
import type { WatchedFile } from '../files/watched-file.ts';
import type { LoginService } from '../login/login-service.ts';
import { type RedisPool, settingsForReviews } from '../shared-redis/redis-pool.ts';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import { assembleChain, type ChainParts, requireLogins } from './assemble-chain.ts';
import { type CreateDependencies, closeAuthenticator, createAuthenticators } from './authenticators.ts';
import { createLoginParts } from './login.ts';

/** A config and the chain made from it. A reload makes a new one beside it, swaps, and retires it. */
export interface Generation {
  readonly config: GatewayConfig;
  readonly links: readonly GuardedLink[];
  readonly registries: readonly Registry[];
  readonly files: readonly WatchedFile[];
  /** The Redis that all replicas share. */
  readonly redis?: ProbedRedis;
  /** Left out: the config has no login server, or none was asked for. */
  readonly login?: LoginService;
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

export interface GenerationDependencies extends CreateDependencies, Omit<ChainParts, 'logger' | 'caching'> {
  /** Left out: nothing is cached. */
  readonly caching?: Caching;
  /** Whether people may log in. Left out: sessions are checked, and none is issued. */
  readonly issuing?: boolean;
}

/** @throws ConfigError, or Error, when something can't be made; nothing is left open then */
export async function createGeneration(
  config: GatewayConfig,
  dependencies: GenerationDependencies,
): Promise<Generation> {
  await using opened = new AsyncDisposableStack();
  const settings = settingsForReviews(config);
  const lease = settings && (await dependencies.caching?.redis.acquire(settings, config.baseDirectory));
  if (lease) opened.defer(() => lease.release());
  const created = await createAuthenticators(config, dependencies);
  opened.defer(async () => {
    await Promise.all(created.map((one) => closeAuthenticator(one, dependencies.logger)));
  });
  requireLogins(config, created);
  const work = createWork();
  const onAbandoned = (abandoned: Promise<unknown>) => {
    work.add(abandoned);
    dependencies.onAbandoned(abandoned);
  };
  const { links, logins, texts } = assembleChain(config, created, lease?.redis, { ...dependencies, onAbandoned });
  const sessions = links.find(({ name }) => name === config.login?.sessions);
  const { login: settingsOfLogin } = config;
  const login =
    dependencies.issuing && settingsOfLogin && sessions
      ? await createLoginParts({
          ...{ config, login: settingsOfLogin, links: logins, sessions, texts, dependencies },
          hold: work.add,
        })
      : undefined;
  if (login) opened.defer(login.close);
  const { authenticate } = chain(links, systemClocks.monotonic);
  const owned = opened.move();
  return {
    config,
    links,
    registries: created.map(({ registry }) => registry),
    files: [...created.flatMap(({ files }) => files), ...(lease?.files ?? []), ...(login?.files ?? [])],
    ...(lease && { redis: lease.redis }),
    ...(login && { login: login.service }),
    authenticate(token, context) {
      const decision = authenticate(token, context);
      if (decision instanceof Promise) work.add(decision);
      return decision;
    },
    async retire(limit) {
      await work.ended(limit);
      await owned.disposeAsync();
    },
  };
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
