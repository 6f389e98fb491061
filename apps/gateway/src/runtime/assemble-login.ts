import { type Authenticator, AuthenticatorError, type Logger } from '@sallyport/authenticator';
import { type CacheDependencies, type CacheSettings, withCache } from '../cache/with-cache.ts';
import { withSoundDecision } from '../chain/decision.ts';
import type { Guard } from '../chain/guard.ts';
import { type IdentityPrefixes, identityPolicy, withIdentityPolicy } from '../chain/identity-policy.ts';
import type { Clocks } from '../clocks.ts';
import type { AuthenticatorConfig, GatewayConfig, LoginConfig } from '../config/types.ts';
import { asError, withoutToken } from '../logging/error-fields.ts';
import type { LoginLink } from '../login/login-service.ts';
import type { Blocks } from '../revocation/list.ts';
import { createSessionUsers, type RevalidationResult } from '../sessions/session-user.ts';

export interface AssembleLoginOptions {
  readonly config: AuthenticatorConfig;
  readonly login: LoginConfig;
  /** The lifetimes of the file, for an authenticator whose own answers are not cached. */
  readonly lifetimes: GatewayConfig['cache'];
  /** What the plugin made. */
  readonly authenticator: Authenticator;
  /** That of its link: logins and sessions take the same slots, and the same circuit counts them. */
  readonly guard: Guard;
  readonly prefixes: IdentityPrefixes;
  readonly reservedDomain: string | undefined;
  readonly blocks: Blocks;
  readonly clocks: Clocks;
  readonly log: Pick<Logger, 'warn'>;
  /** Left out: users are looked up at each review. */
  readonly cache?: Omit<CacheDependencies, 'clocks'> | undefined;
  /** Called with each result of asking for the user of a session; not with one that is still cached. */
  readonly onRevalidated: (authenticator: string, result: RevalidationResult) => void;
}

/** What logins and sessions need of an authenticator besides its link in the chain. */
export interface AssembledLogin {
  readonly link: LoginLink;
  /** See `SessionDependencies.usersOf`. */
  readonly users: Authenticator;
}

/** Names what an authenticator lacks for `login.authenticators`; undefined: nothing. */
export function missingForLogin({ loginToken, revalidate }: Authenticator): string | undefined {
  const missing = [
    ...(typeof loginToken === 'function' ? [] : ['loginToken']),
    ...(typeof revalidate === 'function' ? [] : ['revalidate']),
  ];
  if (missing.length === 0) return undefined;
  return `its plugin has no ${missing.join(' and no ')}: take it out of login.authenticators`;
}

/** Stacks the layers for logins, blocks(policy(soundDecision(guard))), and for users of sessions, policy(cache(soundDecision(guard))). */
export function assembleLogin(options: AssembleLoginOptions): AssembledLogin {
  const { config, authenticator, guard, prefixes, reservedDomain, blocks, clocks, log, onRevalidated } = options;
  const passwords = withSoundDecision(guard, clocks.wall);
  const judge = identityPolicy(config, prefixes, reservedDomain);
  const users = createSessionUsers(guard, (result) => onRevalidated(config.name, result));
  let isUidMissingLogged = false;
  const warnWithoutUid = (uid: string | undefined) => {
    if (uid !== undefined || isUidMissingLogged) return;
    isUidMissingLogged = true;
    log.warn(
      { authenticator: config.name, hint: 'set the option that gives users a uid, such as user.attributes.uid' },
      'user without a uid logged in: their sessions pass to whoever gets their name',
    );
  };
  const cached = aroundUsers(withSoundDecision(users, clocks.wall), options);
  return {
    users: withIdentityPolicy(cached, config, prefixes, log, reservedDomain),
    link: {
      name: config.name,
      onError: config.onError,
      async logIn(username, password, context) {
        const token = authenticator.loginToken?.(username, password);
        if (token === undefined) return { kind: 'no-opinion' };
        if (blocks.ofToken(token) !== undefined) return { kind: 'rejected', reason: 'blocked' };
        const decision = await Promise.resolve()
          .then(() => passwords.authenticate(token, context))
          .catch((error: unknown) => withhold(error, token));
        if (decision.kind !== 'authenticated') return decision;
        const given = decision.user;
        const { user: named, breach } = judge(given);
        const subject = given.username;
        if (breach !== undefined) {
          log.warn({ authenticator: config.name, subject, ...breach }, 'identity refused by policy');
          return { kind: 'rejected', reason: 'identity-policy', subject };
        }
        const isBlocked = blocks.ofUser(named.username, named.groups ?? []) !== undefined;
        if (isBlocked) return { kind: 'rejected', reason: 'blocked', subject };
        warnWithoutUid(given.uid);
        return { kind: 'logged-in', given, named };
      },
    },
  };
}

/** A login token has the password in another form, such as base64. */
function withhold(error: unknown, token: string): never {
  const { message } = asError(error);
  throw message.includes(token) ? new AuthenticatorError('failed', withoutToken(message, token)) : error;
}

function aroundUsers(users: Authenticator, options: AssembleLoginOptions): Authenticator {
  const { config, login, lifetimes, cache, clocks, onRevalidated } = options;
  if (cache === undefined) return users;
  const { name, fingerprint, username } = config;
  const own = config.cache === 'off' ? lifetimes : config.cache;
  const settings: CacheSettings = {
    store: 'shared',
    authenticatedTtl: login.revalidate,
    rejectedTtl: Math.min(own.rejectedTtl, login.revalidate),
    unknownTtl: own.unknownTtl,
    staleTtl: own.staleTtl,
    name,
    fingerprint: `${fingerprint} users of sessions`,
    apart: true,
    usernamePrefix: username.prefix,
  };
  const metrics: CacheDependencies['metrics'] = {
    lookup(_name, _tier, result) {
      if (result === 'stale') onRevalidated(name, 'stale');
    },
    coalesced: () => undefined,
  };
  return withCache(users, settings, { ...cache, clocks, metrics });
}
