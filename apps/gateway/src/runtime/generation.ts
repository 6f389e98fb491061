import type { Registry } from 'prom-client';
import { createTokenFingerprint } from '../audit/entry.ts';
import { createRedisTier } from '../cache/redis-tier.ts';
import type { CacheDependencies } from '../cache/with-cache.ts';
import type { ProvenTokens } from '../chain/admission.ts';
import { isLate } from '../chain/answer.ts';
import { type ChainContext, chain } from '../chain/chain.ts';
import { identityPrefixes } from '../chain/identity-policy.ts';
import { systemClocks } from '../clocks.ts';
import type { GatewayConfig } from '../config/types.ts';
import { within } from '../deadlines.ts';
import type { WatchedFile } from '../files/watcher.ts';
import type { EndedSessions } from '../revocation/ended-sessions.ts';
import type { Blocks } from '../revocation/list.ts';
import { createSessionTexts } from '../sessions/session-text.ts';
import type { RevalidationResult } from '../sessions/session-user.ts';
import type { RefusedSession } from '../sessions/with-sessions.ts';
import { type RedisPool, settingsForReviews } from '../shared-redis/redis-pool.ts';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import { assembleLink, type SharedParts } from './assemble.ts';
import { assembleLogin, requireLogins } from './assemble-login.ts';
import { type CreateDependencies, closeAuthenticator, createAuthenticators } from './authenticators.ts';
import { createLoginParts } from './login.ts';

export interface GenerationDependencies extends CreateDependencies, Pick<SharedParts, 'onAbandoned'> {
  /** What the caches of all generations share. Left out: nothing is cached. */
  readonly caching?: Omit<CacheDependencies, 'clocks' | 'redis'> & {
    readonly redis: RedisPool;
    /** Left out: `createRedisTier`. */
    readonly tierOf?: typeof createRedisTier;
  };
  readonly blocks: Blocks;
  /** Left out: no session is known to have ended. */
  readonly ended?: Pick<EndedSessions, 'has' | 'add'>;
  /** What learns of sessions. Left out: nothing does. */
  readonly sessions?: {
    /** Called each time that one is refused because of its user, not with a refusal that is still cached. */
    readonly onRefused: (refused: RefusedSession) => void;
    readonly onRevalidated: (authenticator: string, result: RevalidationResult) => void;
  };
  /** By the fingerprint of an authenticator's config. Left out: none outlives the generation. */
  readonly proven?: (fingerprint: string) => ProvenTokens;
  /** Whether people may log in. Left out: sessions are checked, and none is issued. */
  readonly issuing?: boolean;
}

/** A config and the chain made from it. A reload makes a new one beside it, swaps, and retires it. */
export type Generation = Awaited<ReturnType<typeof createGeneration>>;

/** @throws ConfigError, or Error, when something can't be made; nothing is left open then */
export async function createGeneration(config: GatewayConfig, dependencies: GenerationDependencies) {
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
  const login =
    dependencies.issuing && config.login && sessions
      ? await createLoginParts(config, config.login, dependencies, { links: logins, sessions, texts, hold: work.add })
      : undefined;
  if (login) opened.defer(login.close);
  const { authenticate } = chain(links, systemClocks.monotonic);
  const owned = opened.move();
  return {
    config,
    links,
    /** As the plugins made them, without the layers. */
    created,
    registries: created.map(({ registry }): Registry => registry),
    files: [...created, lease, login].flatMap((one): readonly WatchedFile[] => one?.files ?? []),
    /** The Redis that all replicas share. */
    redis: lease?.redis,
    /** Undefined: the config has no login server, or none was asked for. */
    login: login?.service,
    /** Decides as the chain does, and stays open until it has. */
    authenticate(token: string, context: ChainContext) {
      const decision = authenticate(token, context);
      if (isLate(decision)) work.add(decision);
      return decision;
    },
    /**
     * Closes the authenticators as soon as nothing of this chain is in progress, or after `limit` milliseconds: a plugin may
     * never finish. No review may begin after this call.
     */
    async retire(limit: number): Promise<void> {
      await work.ended(limit);
      await owned.disposeAsync();
    },
  };
}

const unobserved = { onRefused: () => undefined, onRevalidated: () => undefined };

/**
 * Assembles all links of a chain, and what logins and sessions need besides.
 *
 * @returns `logins` in the order of `login.authenticators`
 */
function assembleChain(
  config: GatewayConfig,
  created: Awaited<ReturnType<typeof createAuthenticators>>,
  redis: ProbedRedis | undefined,
  dependencies: GenerationDependencies,
) {
  const { logger, caching, blocks, ended, sessions: observer = unobserved } = dependencies;
  const clocks = systemClocks;
  const { login } = config;
  const sealingKeys = config.cache.redis?.sealingKeys ?? [];
  const texts = createSessionTexts(sealingKeys);
  const shared: SharedParts = {
    ...{ logger, clocks, blocks, onAbandoned: dependencies.onAbandoned },
    prefixes: identityPrefixes(config.authenticators),
    apiAudiences: () => config.server.apiAudiences,
    cache: caching && { ...caching, redis: redis && (caching.tierOf ?? createRedisTier)(redis, clocks) },
    provenance: config.provenance && { ...config.provenance, fingerprint: createTokenFingerprint(sealingKeys[0]) },
  };
  const logins = new Map<string, ReturnType<typeof assembleLogin>>();
  const sessions = {
    texts,
    clusters: login?.clusters ?? {},
    hasEnded: (token: string) => ended?.has(token) === true,
    usersOf: (name: string) => logins.get(name)?.users,
    onRefused: observer.onRefused,
    keyPrefix: config.provenance?.keyPrefix,
    now: clocks.wall,
  };
  const links = created.map(({ config: one, authenticator, followConnection }) => {
    const parts = { ...shared, config: one, authenticator };
    const proven = dependencies.proven?.(one.fingerprint);
    const link = assembleLink({ ...parts, proven, sessions: one.name === login?.sessions ? sessions : undefined });
    followConnection(link.guard.reconnected);
    if (login?.authenticators.includes(one.name)) {
      const { onRevalidated } = observer;
      const { guard } = link;
      logins.set(one.name, assembleLogin({ ...parts, guard, login, lifetimes: config.cache, onRevalidated }));
    }
    return link;
  });
  return { links, logins: (login?.authenticators ?? []).flatMap((name) => logins.get(name)?.link ?? []), texts };
}

/** The calls of a chain, to be waited for. */
function createWork() {
  const inProgress = new Set<Promise<unknown>>();
  const allEnded = async () => {
    while (inProgress.size > 0) await Promise.allSettled(inProgress);
  };
  return {
    add(work: Promise<unknown>): void {
      inProgress.add(work);
      const end = () => void inProgress.delete(work);
      work.then(end, end);
    },
    // At the limit they count as ended.
    ended: (limit: number) => within({ limit }, allEnded).catch(() => undefined),
  };
}
