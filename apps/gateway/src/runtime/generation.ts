import type { Registry } from 'prom-client';
import { createTokenFingerprint } from '../audit/entry.ts';
import { createRedisTier } from '../cache/redis-tier.ts';
import type { CacheDependencies } from '../cache/with-cache.ts';
import type { KnownGoodTokens } from '../chain/admission.ts';
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
import { assembleGuard, assembleLink, type SharedParts } from './assemble.ts';
import { type AssembleLoginOptions, assembleLogin, requireLogins } from './assemble-login.ts';
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
  readonly knownGood?: (fingerprint: string) => KnownGoodTokens;
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
  const { logger, caching, blocks, onAbandoned, ended, sessions: observer = unobserved } = dependencies;
  const { login, provenance } = config;
  const clocks = systemClocks;
  const sealingKeys = config.cache.redis?.sealingKeys ?? [];
  const shared: SharedParts = {
    logger,
    clocks,
    blocks,
    onAbandoned,
    prefixes: identityPrefixes(config.authenticators),
    apiAudiences: () => config.server.apiAudiences,
    cache: caching && { ...caching, redis: redis && (caching.tierOf ?? createRedisTier)(redis, clocks) },
    provenance: provenance && { ...provenance, fingerprint: createTokenFingerprint(sealingKeys[0]) },
  };
  const guarded = created.map(({ config: one, authenticator, followConnection }) => {
    const parts = { ...shared, config: one, authenticator };
    const guard = assembleGuard(parts, dependencies.knownGood?.(one.fingerprint));
    followConnection(guard.reconnected);
    return { ...parts, guard };
  });
  const { onRefused, onRevalidated } = observer;
  const logins = login ? assembleLogins(guarded, { login, lifetimes: config.cache, onRevalidated }) : [];
  const users = new Map(logins.map((one) => [one.link.name, one.users]));
  const texts = createSessionTexts(sealingKeys);
  const sessions = {
    texts,
    clusters: login?.clusters ?? {},
    hasEnded: (token: string) => ended?.has(token) === true,
    usersOf: (name: string) => users.get(name),
    onRefused,
    keyPrefix: provenance?.keyPrefix,
    now: clocks.wall,
  };
  const links = guarded.map((parts) =>
    assembleLink({ ...parts, sessions: parts.config.name === login?.sessions ? sessions : undefined }),
  );
  return { links, logins: logins.map(({ link }) => link), texts };
}

/** Assembles the logins of `login.authenticators`, in the order of that list. */
function assembleLogins(
  guarded: readonly Omit<AssembleLoginOptions, keyof LoginSettings>[],
  settings: LoginSettings,
): ReturnType<typeof assembleLogin>[] {
  return settings.login.authenticators.flatMap((name) =>
    guarded.filter(({ config }) => config.name === name).map((parts) => assembleLogin({ ...parts, ...settings })),
  );
}

type LoginSettings = Pick<AssembleLoginOptions, 'login' | 'lifetimes' | 'onRevalidated'>;

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
