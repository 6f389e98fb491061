import type { Logger } from '@sallyport/authenticator';
import { createTokenFingerprint } from '../audit/token-fingerprint.ts';
import { createRedisTier } from '../cache/redis-tier.ts';
import type { CacheDependencies } from '../cache/with-cache.ts';
import type { ProvenTokens } from '../chain/admission.ts';
import type { GuardedLink } from '../chain/guard.ts';
import { identityPrefixes } from '../chain/identity-policy.ts';
import { systemClocks } from '../clocks.ts';
import { ConfigError } from '../config/problems.ts';
import type { GatewayConfig } from '../config/types.ts';
import type { LoginLink } from '../login/login-service.ts';
import type { Blocks } from '../revocation/list.ts';
import { createSessionTexts, type SessionTexts } from '../sessions/session-text.ts';
import type { RevalidationResult } from '../sessions/session-user.ts';
import type { RefusedSession } from '../sessions/with-sessions.ts';
import type { ProbedRedis } from '../shared-redis/shared-redis.ts';
import { assembleLink } from './assemble.ts';
import { type AssembledLogin, assembleLogin, missingForLogin } from './assemble-login.ts';
import type { CreatedAuthenticator } from './authenticators.ts';

/** What learns of sessions. */
export interface SessionObserver {
  /** Called each time that one is refused because of its user, not with a refusal that is still cached. */
  readonly onRefused: (refused: RefusedSession) => void;
  readonly onRevalidated: (authenticator: string, result: RevalidationResult) => void;
}

/** What the layers of all authenticators share. */
export interface ChainParts {
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  /** Left out: nothing is cached. */
  readonly caching?: Omit<CacheDependencies, 'clocks' | 'redis'>;
  /** Left out: no one is blocked. */
  readonly blocks?: Blocks;
  /** Called with backend work that goes on after its review was answered. */
  readonly onAbandoned: (work: Promise<unknown>) => void;
  /** What happens to sessions. Left out: no one learns of it. */
  readonly sessions?: SessionObserver;
  /** By the fingerprint of an authenticator's config. Left out: none outlives the generation. */
  readonly proven?: (fingerprint: string) => ProvenTokens;
}

const nothingBlocked: Blocks = { ofToken: () => undefined, ofUser: () => undefined, ofCredential: () => undefined };

/** @throws ConfigError when an authenticator of `login.authenticators` can log no one in */
export function requireLogins({ login }: GatewayConfig, created: readonly CreatedAuthenticator[]): void {
  const problems = created.flatMap(({ config, authenticator }) => {
    const missing = login?.authenticators.includes(config.name) ? missingForLogin(authenticator) : undefined;
    return missing === undefined ? [] : [config.problem(new Error(missing), "can't log anyone in")];
  });
  if (problems.length > 0) throw new ConfigError(problems, []);
}

export interface Assembled {
  readonly links: readonly GuardedLink[];
  /** In the order of `login.authenticators`. */
  readonly logins: readonly LoginLink[];
  readonly texts: SessionTexts;
}

/** Assembles all links of a chain, and what logins and sessions need besides. */
export function assembleChain(
  config: GatewayConfig,
  created: readonly CreatedAuthenticator[],
  redis: ProbedRedis | undefined,
  dependencies: ChainParts,
): Assembled {
  const { logger, caching, blocks = nothingBlocked, onAbandoned, proven, sessions: observer } = dependencies;
  const prefixes = identityPrefixes(config.authenticators);
  const clocks = systemClocks;
  const cache = caching && { ...caching, redis: redis && createRedisTier(redis, clocks) };
  const sealingKeys = config.cache.redis?.sealingKeys ?? [];
  const fingerprint = createTokenFingerprint(sealingKeys[0]);
  const texts = createSessionTexts(sealingKeys);
  const provenance = config.provenance && { ...config.provenance, fingerprint };
  const logins = new Map<string, AssembledLogin>();
  const sessions = {
    texts,
    clusters: config.login?.clusters ?? {},
    usersOf: (name: string) => logins.get(name)?.users,
    onRefused: observer?.onRefused ?? (() => undefined),
    keyPrefix: config.provenance?.keyPrefix,
    now: clocks.wall,
  };
  const links = created.map(({ config: one, authenticator }) =>
    assembleLink({
      config: one,
      authenticator,
      prefixes,
      apiAudiences: () => config.server.apiAudiences,
      log: logger,
      clocks,
      ...(cache && { cache }),
      blocks,
      sessions: one.name === config.login?.sessions ? sessions : undefined,
      provenance,
      onAbandoned,
      proven: proven?.(one.fingerprint),
    }),
  );
  const { login } = config;
  for (const name of login?.authenticators ?? []) {
    const index = created.findIndex((one) => one.config.name === name);
    const [one, link] = [created[index], links[index]];
    if (login === undefined || one === undefined || link === undefined) continue;
    logins.set(
      name,
      assembleLogin({
        ...one,
        ...{ login, lifetimes: config.cache, guard: link.guard, prefixes, blocks, clocks, log: logger, cache },
        reservedDomain: config.provenance?.keyPrefix,
        onRevalidated: observer?.onRevalidated ?? (() => undefined),
      }),
    );
  }
  return { links, logins: [...logins.values()].map(({ link }) => link), texts };
}
