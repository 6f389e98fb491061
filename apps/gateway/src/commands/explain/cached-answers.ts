import type { CacheLifetimes, GatewayConfig } from '../../config/types.ts';
import { createMemoryTier } from '../../engine/cache/memory-tier.ts';
import { createRedisTier, type RedisTier } from '../../engine/cache/redis-tier.ts';
import type { RevocationList } from '../../engine/revocation/list.ts';
import type { ProbedRedis } from '../../engine/shared-redis/shared-redis.ts';
import { directoryCache } from '../../runtime/assemble-directory.ts';
import type { GenerationDependencies } from '../../runtime/generation.ts';

type Caching = NonNullable<GenerationDependencies['caching']>;

/** How many answers the memory of this process can have. It is empty at the start, and one question is asked. */
const memoryEntries = 16;

/**
 * Makes the caching of a chain that uses the answers which the gateways share where a backend can't be asked, as a gateway would. Each
 * backend is asked first, and nothing is written.
 *
 * @param audiences those that were asked for; undefined: they are not known, so those of the API servers in the config are tried
 * @param onUnread called when an answer could not be looked for
 */
export function readOnlyCaching(
  { server, login }: Pick<GatewayConfig, 'server' | 'login'>,
  redis: ProbedRedis,
  blocks: RevocationList,
  audiences: readonly string[] | undefined,
  onUnread: () => void,
): Caching {
  const ofClusters = Object.values(login?.clusters ?? {}).map(({ audience }) => audience);
  const single = [...new Set([...server.apiAudiences, ...ofClusters])].map((one) => [one]);
  const others = audiences === undefined ? [server.apiAudiences, ...single] : [];
  return {
    memory: createMemoryTier(memoryEntries),
    revocations: { ...blocks, isCutOff: false },
    metrics: { lookup: () => undefined, coalesced: () => undefined },
    asksAlways: true,
    redisPool: { acquire: async () => ({ redis, files: [], release: async () => undefined }) },
    tierOf: (shared, clocks) => readOnlyTier(createRedisTier(shared, clocks), others, onUnread),
  };
}

function readOnlyTier(
  tier: RedisTier,
  others: readonly (readonly string[])[],
  onUnread: () => void,
): RedisTier {
  return {
    async get(question) {
      let found = await tier.get(question);
      for (const audiences of others) {
        if (found.result !== 'miss') break;
        found = await tier.get({ ...question, audiences });
      }
      if (found.result === 'error') onUnread();
      return found;
    },
    set: () => undefined,
    delete: () => undefined,
  };
}

/**
 * Returns for how many milliseconds a gateway may use an answer of an authenticator, with the time in which it can't be asked; 0 if it
 * caches none.
 */
export function maxUse({ login, authenticators, cache }: GatewayConfig, name: string): number {
  const one = authenticators.find((each) => each.name === name);
  if (one === undefined) return 0;
  if (login === undefined || name !== login.sessions)
    return one.cache === 'off' ? 0 : lifetimeOf(one.cache);
  // The user of a session is looked up at the authenticator that logged them in. Users of providers are not: see below.
  const users = authenticators.filter((each) => login.authenticators.includes(each.name));
  return Math.max(
    0,
    ...users.map((each) => login.revalidate + (each.cache === 'off' ? cache : each.cache).staleTtl),
  );
}

/** Returns the authenticator whose directory was asked: of the users of sessions, the one that checks the ID tokens of a provider. */
export function ownerOfDirectory(
  { authenticators, login }: Pick<GatewayConfig, 'authenticators' | 'login'>,
  name: string,
  directory: string,
): string {
  if (name !== login?.sessions) return name;
  const checking = Object.values(login.providers).map(({ authenticator }) => authenticator);
  const owner = authenticators.find(
    (each) => checking.includes(each.name) && each.directory?.authenticator === directory,
  );
  return owner?.name ?? name;
}

/** Does the same with an answer of the directory of an authenticator. */
export function maxUseOfDirectory({ authenticators, cache }: GatewayConfig, name: string): number {
  const directory = authenticators.find((each) => each.name === name)?.directory;
  const its = authenticators.find((each) => each.name === directory?.authenticator);
  return directory && its ? lifetimeOf(directoryCache(its, directory.refresh, cache)) : 0;
}

function lifetimeOf({ authenticatedTtl, staleTtl }: CacheLifetimes): number {
  return authenticatedTtl + staleTtl;
}
