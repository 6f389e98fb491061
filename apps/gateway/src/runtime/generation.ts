import type { Registry } from 'prom-client';
import { systemClocks } from '../base/clocks.ts';
import { within } from '../base/deadlines.ts';
import type { WatchedFile } from '../config/files/watcher.ts';
import { ConfigError } from '../config/problems.ts';
import type { GatewayConfig } from '../config/types.ts';
import { createRedisTier } from '../engine/cache/redis-tier.ts';
import type { CacheDependencies } from '../engine/cache/with-cache.ts';
import type { KnownGoodTokens } from '../engine/chain/admission.ts';
import { isPending } from '../engine/chain/answer.ts';
import { type ChainContext, chain } from '../engine/chain/chain.ts';
import { identityPrefixes } from '../engine/chain/identity-policy.ts';
import { createPolicyLog } from '../engine/chain/policy-log.ts';
import type { DirectoryResult } from '../engine/directory/directory-user.ts';
import type { EndedSessions } from '../engine/revocation/ended-sessions.ts';
import type { Blocks, LoginBlocks, LoginRevocations } from '../engine/revocation/list.ts';
import { createSessionTexts, type Session } from '../engine/sessions/session-text.ts';
import {
  type RevalidationResult,
  type SessionUsers,
  writeSessionUser,
} from '../engine/sessions/session-user.ts';
import type { RefusedSession } from '../engine/sessions/with-sessions.ts';
import {
  factorSettings,
  type RedisPool,
  settingsForReviews,
} from '../engine/shared-redis/redis-pool.ts';
import type { ProbedRedis } from '../engine/shared-redis/shared-redis.ts';
import { createFactorPolicy } from '../login/factors/policy.ts';
import { findProvider, type LoginProvider, type LoginService } from '../login/login-service.ts';
import type { OpenIdClientOptions } from '../login/providers/openid-client.ts';
import { createTokenFingerprint } from '../observe/audit/entry.ts';
import { assembleDirectory, directoryProblems } from './assemble-directory.ts';
import {
  type AssembleOptions,
  assembleGuard,
  assembleLink,
  type GuardedParts,
  type SharedParts,
} from './assemble-link.ts';
import { assembleLogin, loginProblems } from './assemble-login.ts';
import { assembleProvider, providerProblems } from './assemble-provider.ts';
import {
  type CreateDependencies,
  type CreatedAuthenticator,
  closeAuthenticator,
  createAuthenticators,
} from './authenticators.ts';
import { createLoginParts } from './login.ts';
import type { LoginLayersOptions } from './login-layers.ts';

export interface GenerationDependencies
  extends CreateDependencies,
    Pick<SharedParts, 'onAbandoned'> {
  /** What the caches of all generations share. Undefined: nothing is cached. */
  readonly caching?: Omit<CacheDependencies, 'clocks' | 'redis'> & {
    readonly redisPool: RedisPool;
    /** Makes the shared cache of a connection. Default: `createRedisTier`. */
    readonly createTier?: typeof createRedisTier;
  };
  readonly blocks: Blocks & LoginBlocks;
  /** The sessions that are known to have ended. Default: none. */
  readonly ended?: Pick<EndedSessions, 'has' | 'add'>;
  /** Default: nothing observes sessions. */
  readonly sessionObserver?: SessionObserver;
  /**
   * Finds the known-good tokens of an authenticator by the fingerprint of its config. Default: they end with the generation.
   */
  readonly knownGood?: (fingerprint: string) => KnownGoodTokens;
  /** Called with each result of a directory for the users of an authenticator. Default: nothing observes them. */
  readonly onLookedUp?: (authenticator: string, result: DirectoryResult) => void;
  /** The revocation list as logins use it. Default: no one can log in; sessions are checked, and none is issued. */
  readonly loginRevocations?: LoginRevocations;
}

interface SessionObserver {
  /** Called with each session that is refused because of its user, but not with a refusal from a cache. */
  readonly onRefused: (refused: RefusedSession) => void;
  readonly onRevalidated: (authenticator: string, result: RevalidationResult) => void;
  /** Called with each request to a provider of `login.providers`. */
  readonly onProviderCall: (provider: string, call: ProviderCall, isOk: boolean) => void;
}

/** A request to a provider. It is a metric label. */
type ProviderCall = Parameters<OpenIdClientOptions['onCall']>[0];

/** A config and the chain made from it. A reload makes a new one, replaces the old one by it, and retires the old one. */
export type Generation = Awaited<ReturnType<typeof createGeneration>>;

/**
 * Makes a generation, in this order: the connection to the cache Redis, the authenticators by their plugins, the layers around
 * them, the login server's parts.
 *
 * @throws ConfigError, or Error, when something can't be made; nothing is left open then
 */
export async function createGeneration(
  config: GatewayConfig,
  dependencies: GenerationDependencies,
) {
  await using opened = new AsyncDisposableStack();
  const settings = settingsForReviews(config);
  const lease =
    settings && (await dependencies.caching?.redisPool.acquire(settings, config.baseDirectory));
  if (lease) opened.defer(() => lease.release());
  const created = await createAuthenticators(config, dependencies);
  opened.defer(async () => {
    await Promise.all(
      created.map((authenticator) => closeAuthenticator(authenticator, dependencies.logger)),
    );
  });
  requireAbilities(config, created);
  const calls = createCalls();
  const onAbandoned = (abandoned: Promise<unknown>) => {
    calls.add(abandoned);
    dependencies.onAbandoned(abandoned);
  };
  const { links, ...forLogins } = assembleChain(config, created, lease?.redis, {
    ...dependencies,
    onAbandoned,
  });
  const sessions = links.find(({ name }) => name === config.login?.sessions);
  const { loginRevocations } = dependencies;
  const factorRedis = loginRevocations ? await leaseFactorRedis(config, dependencies) : undefined;
  if (factorRedis) opened.defer(() => factorRedis.release());
  const login =
    loginRevocations && config.login && sessions
      ? await createLoginParts(config, config.login, dependencies, {
          ...forLogins,
          sessions,
          revocations: loginRevocations,
          hold: calls.add,
          redis: lease?.redis,
          factorRedis: factorRedis?.redis,
        })
      : undefined;
  if (login) opened.defer(login.close);
  const forReviews = new Set(
    config.authenticators.filter(({ reviews }) => reviews).map(({ name }) => name),
  );
  const reviewLinks = links.filter(({ name }) => forReviews.has(name));
  const { authenticate } = chain(reviewLinks, systemClocks.monotonic);
  const owned = opened.move();
  return {
    config,
    links,
    /** The authenticators as the plugins made them, without the layers. */
    created,
    registries: created.map(({ registry }): Registry => registry),
    files: [...created, lease, factorRedis, login].flatMap(
      (source): readonly WatchedFile[] => source?.files ?? [],
    ),
    /** The Redis that all replicas share. */
    redis: lease?.redis,
    /** Undefined: the config has no login server, or none was asked for. */
    login: login?.service,
    /** Decides as the chain does, and stays open until it has. */
    authenticate(token: string, context: ChainContext) {
      const decision = authenticate(token, context);
      if (isPending(decision)) calls.add(decision);
      return decision;
    },
    /**
     * Closes the authenticators as soon as no call of this chain is in progress, or after `limit` milliseconds: a plugin may
     * never finish. No review may begin after this call.
     */
    async retire(limit: number): Promise<void> {
      await calls.ended(limit);
      await owned.disposeAsync();
    },
  };
}

/** @throws ConfigError when authenticators can't do what the config asks of them */
export function requireAbilities(
  config: Pick<GatewayConfig, 'login'>,
  created: readonly Pick<CreatedAuthenticator, 'config' | 'authenticator'>[],
): void {
  const problems = [
    ...loginProblems(config, created),
    ...directoryProblems(created),
    ...providerProblems(config, created),
  ];
  if (problems.length > 0) throw new ConfigError(problems, []);
}

/**
 * Puts the layers around the authenticators: first the guard of each, then what logins ask, then the links of the chain, which
 * ask the former about the users of sessions, and the guards of directories about the users of tokens.
 *
 * @returns the links, and for the login server: its links in the order of `login.authenticators`, its providers, the texts of
 *   sessions, and what answers for their users
 */
function assembleChain(
  config: GatewayConfig,
  created: readonly CreatedAuthenticator[],
  redis: ProbedRedis | undefined,
  dependencies: GenerationDependencies,
) {
  const shared = sharedParts(config, redis, dependencies);
  const guarded = created.map(
    ({ config: authenticatorConfig, authenticator, followConnection }) => {
      const linkParts = { ...shared, config: authenticatorConfig, authenticator };
      const guard = assembleGuard(
        linkParts,
        dependencies.knownGood?.(authenticatorConfig.fingerprint),
      );
      followConnection(guard.reconnected);
      return { ...linkParts, guard };
    },
  );
  const { onLookedUp = () => undefined } = dependencies;
  const withDirectories = guarded.map((guardedParts) => ({
    ...guardedParts,
    directory: assembleDirectory(guardedParts.config, guarded, config.cache, onLookedUp),
  }));
  const logins = assembleLogins(config, guarded, dependencies);
  const providers = assembleProviders(config, withDirectories, dependencies);
  const sessions = sessionParts(config, logins, providers, dependencies);
  const links = withDirectories.map((linkParts) =>
    assembleLink({
      ...linkParts,
      sessions: linkParts.config.name === config.login?.sessions ? sessions : undefined,
    }),
  );
  return {
    links,
    passwordLinks: logins.map(({ link }) => link),
    providers,
    texts: sessions.texts,
    findSessionUsers: sessions.findSessionUsers,
  };
}

/** Takes a share in the connection to the Redis of second factors, if the config has one. */
async function leaseFactorRedis(
  { login, cache, baseDirectory }: GatewayConfig,
  { caching }: GenerationDependencies,
) {
  const settings = login?.secondFactor && factorSettings(login.secondFactor, cache);
  return settings && (await caching?.redisPool.acquire(settings, baseDirectory, 'factors'));
}

/** Makes what the layers of all authenticators share. */
function sharedParts(
  config: GatewayConfig,
  redis: ProbedRedis | undefined,
  { logger, blocks, onAbandoned, caching }: GenerationDependencies,
): SharedParts {
  const { provenance } = config;
  const [sealingKey] = config.cache.redis?.sealingKeys ?? [];
  const clocks = systemClocks;
  return {
    logger,
    policyLog: createPolicyLog(logger, clocks.monotonic),
    clocks,
    blocks,
    onAbandoned,
    prefixes: identityPrefixes(config.authenticators),
    apiAudiences: () => config.server.apiAudiences,
    hasCredentialIds: config.server.authorize,
    cache: caching && {
      ...caching,
      redis: redis && (caching.createTier ?? createRedisTier)(redis, clocks),
    },
    provenance: provenance && { ...provenance, fingerprint: createTokenFingerprint(sealingKey) },
  };
}

/** Assembles the logins of `login.authenticators`, in the order of that list. */
function assembleLogins(
  { login, cache: lifetimes }: GatewayConfig,
  guarded: readonly GuardedParts[],
  { sessionObserver }: GenerationDependencies,
): ReturnType<typeof assembleLogin>[] {
  if (login === undefined) return [];
  const settings = {
    login,
    lifetimes,
    onRevalidated: sessionObserver?.onRevalidated ?? (() => undefined),
  };
  return login.authenticators.flatMap((name) =>
    guarded
      .filter(({ config }) => config.name === name)
      .map((guardedParts) => assembleLogin({ ...guardedParts, ...settings })),
  );
}

/** Assembles the providers of `login.providers`, in the order of the page. */
function assembleProviders(
  { login }: GatewayConfig,
  candidates: readonly LoginLayersOptions[],
  { sessionObserver }: GenerationDependencies,
): LoginProvider[] {
  if (login === undefined) return [];
  return Object.entries(login.providers).flatMap(([name, provider]) => {
    const onCall = (call: ProviderCall, isOk: boolean) =>
      sessionObserver?.onProviderCall(name, call, isOk);
    return candidates
      .filter(({ config }) => config.name === provider.authenticator)
      .map((candidate) => assembleProvider(name, provider, { ...candidate, login, onCall }));
  });
}

/** Makes what the link of `login.sessions` needs to check sessions. */
function sessionParts(
  { login, provenance, cache }: GatewayConfig,
  logins: readonly ReturnType<typeof assembleLogin>[],
  providers: readonly LoginProvider[],
  { ended, sessionObserver }: GenerationDependencies,
): NonNullable<AssembleOptions['sessions']> & Pick<LoginService, 'findSessionUsers'> {
  const users = new Map(
    logins.map((login): [string, SessionUsers] => [
      login.link.name,
      (session, context) => login.users.authenticate(writeSessionUser(session), context),
    ]),
  );
  const findSessionUsers = (session: Pick<Session, 'authenticator' | 'provider'>) =>
    session.provider === undefined
      ? users.get(session.authenticator)
      : findProvider(providers, session)?.users;
  return {
    texts: createSessionTexts(cache.redis?.sealingKeys ?? [], systemClocks.wall),
    clusters: login?.clusters ?? {},
    hasEnded: (token) => ended?.has(token) === true,
    findSessionUsers,
    isFactorMissing: login ? createFactorPolicy(login).isMissing : () => false,
    onRefused: sessionObserver?.onRefused ?? (() => undefined),
    keyPrefix: provenance?.keyPrefix,
    now: systemClocks.wall,
  };
}

/** Keeps the calls of a chain that are in progress. */
function createCalls() {
  const inProgress = new Set<Promise<unknown>>();
  const allEnded = async () => {
    while (inProgress.size > 0) await Promise.allSettled(inProgress);
  };
  return {
    add(call: Promise<unknown>): void {
      inProgress.add(call);
      const end = () => void inProgress.delete(call);
      call.then(end, end);
    },
    /** Resolves when all calls have ended, at the latest after `limit` milliseconds. */
    ended: (limit: number) => within({ limit }, allEnded).catch(() => undefined),
  };
}
