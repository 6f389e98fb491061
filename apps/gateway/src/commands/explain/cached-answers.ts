import type { CacheLifetimes, GatewayConfig } from '../../config/types.ts';
import { createMemoryTier } from '../../engine/cache/memory-tier.ts';
import { createRedisTier, type RedisTier } from '../../engine/cache/redis-tier.ts';
import type { RevocationList } from '../../engine/revocation/list.ts';
import type { ProbedRedis } from '../../engine/shared-redis/shared-redis.ts';
import { directoryCache } from '../../runtime/assemble-directory.ts';
import type { GenerationDependencies } from '../../runtime/generation.ts';

type CachingParts = NonNullable<GenerationDependencies['caching']>;

/** How many answers the memory of this process can have. It is empty at the start, and one question is asked. */
const memoryEntries = 16;

/**
 * Makes the caching of a chain that uses the answers which the gateways share where a backend can't be asked, as a gateway would. Each
 * backend is asked first, and nothing is written.
 *
 * @param audiences the audiences that were asked for; undefined: they are not known, so the audiences of the API servers in the config are tried
 * @param onUnread called when an answer could not be looked for
 */
export function readOnlyCaching(
  { server, login }: Pick<GatewayConfig, 'server' | 'login'>,
  redis: ProbedRedis,
  blocks: RevocationList,
  audiences: readonly string[] | undefined,
  onUnread: () => void,
): CachingParts {
  const clusterAudiences = Object.values(login?.clusters ?? {}).map(({ audience }) => audience);
  const audienceAlone = [...new Set([...server.apiAudiences, ...clusterAudiences])].map(
    (audience) => [audience],
  );
  const audienceLists = audiences === undefined ? [server.apiAudiences, ...audienceAlone] : [];
  return {
    memory: createMemoryTier(memoryEntries),
    revocations: { ...blocks, isCutOff: false },
    metrics: { lookup: () => undefined, coalesced: () => undefined },
    asksAlways: true,
    redisPool: { acquire: async () => ({ redis, files: [], release: async () => undefined }) },
    createTier: (shared, clocks) =>
      readOnlyTier(createRedisTier(shared, clocks), audienceLists, onUnread),
  };
}

function readOnlyTier(
  tier: RedisTier,
  audienceLists: readonly (readonly string[])[],
  onUnread: () => void,
): RedisTier {
  return {
    async get(question) {
      let lookup = await tier.get(question);
      for (const audiences of audienceLists) {
        if (lookup.result !== 'miss') break;
        lookup = await tier.get({ ...question, audiences });
      }
      if (lookup.result === 'error') onUnread();
      return lookup;
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
  const authenticator = authenticators.find((a) => a.name === name);
  if (authenticator === undefined) return 0;
  if (login === undefined || name !== login.sessions)
    return authenticator.cache === 'off' ? 0 : addTtls(authenticator.cache);
  // The user of a session is looked up at the authenticator that logged them in. Users of providers are not: see below.
  const loginAuthenticators = authenticators.filter((a) => login.authenticators.includes(a.name));
  return Math.max(
    0,
    ...loginAuthenticators.map(
      (a) => login.revalidate + (a.cache === 'off' ? cache : a.cache).staleTtl,
    ),
  );
}

/** Returns the authenticator whose directory was asked. For the user of a session, it is the authenticator that checks the ID tokens of a provider. */
export function ownerOfDirectory(
  { authenticators, login }: Pick<GatewayConfig, 'authenticators' | 'login'>,
  name: string,
  directory: string,
): string {
  if (name !== login?.sessions) return name;
  const checking = Object.values(login.providers).map(({ authenticator }) => authenticator);
  const owner = authenticators.find(
    (a) => checking.includes(a.name) && a.directory?.authenticator === directory,
  );
  return owner?.name ?? name;
}

/** Does the same with an answer of the directory of an authenticator. */
export function maxUseOfDirectory({ authenticators, cache }: GatewayConfig, name: string): number {
  const directory = authenticators.find((a) => a.name === name)?.directory;
  const directoryAuthenticator = authenticators.find((a) => a.name === directory?.authenticator);
  return directory && directoryAuthenticator
    ? addTtls(directoryCache(directoryAuthenticator, directory.refresh, cache))
    : 0;
}

function addTtls({ authenticatedTtl, staleTtl }: CacheLifetimes): number {
  return authenticatedTtl + staleTtl;
}
