import type { Authenticator, UserInfo } from '@sallyport/authenticator';
import type { ConfigProblem } from '../config/problems.ts';
import type {
  AuthenticatorConfig,
  CacheLifetimes,
  GatewayConfig,
  LoginConfig,
} from '../config/types.ts';
import { maxAnswersOfUser } from '../engine/cache/names.ts';
import type { CacheSettings } from '../engine/cache/with-cache.ts';
import { withCheckedDecision } from '../engine/chain/decision.ts';
import { createSessionUsers, type RevalidationResult } from '../engine/sessions/session-user.ts';
import type { LoginLink } from '../login/login-service.ts';
import { type GuardedParts, withPolicy } from './assemble-link.ts';
import type { CreatedAuthenticator } from './authenticators.ts';
import { assembleLoginLayers } from './login-layers.ts';
import { addUserCache, userCache } from './user-cache.ts';

interface AssembleLoginOptions extends GuardedParts {
  readonly login: LoginConfig;
  /** The lifetimes of `cache` in the config, for an authenticator whose own answers are not cached. */
  readonly lifetimes: GatewayConfig['cache'];
  readonly onRevalidated: (authenticator: string, result: RevalidationResult) => void;
}

const uidHint =
  'set the option that gives users a uid, such as user.attributes.uid; ' +
  'if it is set, the backend shows no value for this user: run sallyport explain --user';

/**
 * Says what an authenticator lacks for `login.authenticators`, with words for the author of its plugin in parentheses.
 *
 * @returns undefined if it lacks nothing
 */
export function missingForLogin({ loginToken, revalidate }: Authenticator): string | undefined {
  const missingMethods = Object.entries({ loginToken, revalidate }).filter(
    ([, method]) => typeof method !== 'function',
  );
  if (missingMethods.length === 0) return undefined;
  const problem =
    typeof loginToken === 'function'
      ? 'it can check a password, but not follow the user while a session lasts'
      : "it can't check a password";
  return `${problem} (its plugin has ${missingMethods.map(([name]) => `no ${name}`).join(', ')})`;
}

/** Finds the authenticators of `login.authenticators` that can't log people in. */
export function loginProblems(
  { login }: Pick<GatewayConfig, 'login'>,
  created: readonly Pick<CreatedAuthenticator, 'config' | 'authenticator'>[],
): readonly ConfigProblem[] {
  return created.flatMap(({ config, authenticator }) => {
    const problem = login?.authenticators.includes(config.name)
      ? missingForLogin(authenticator)
      : undefined;
    return problem === undefined ? [] : [config.loginProblem(problem)];
  });
}

/**
 * Stacks the layers for logins (see {@link assembleLoginLayers}), and for users of sessions, policy(cache(checkedDecision(guard))).
 *
 * @returns `link` for logins, and `users` for sessions: see `SessionDependencies.findSessionUsers`
 */
export function assembleLogin(options: AssembleLoginOptions) {
  const { config, authenticator, guard, clocks, logger, onRevalidated } = options;
  const checkLogin = assembleLoginLayers(options);
  const users = createSessionUsers(guard, (result) => onRevalidated(config.name, result));
  const settings = sessionUsersCache(config, options.login, options.lifetimes);
  const cached = addUserCache(withCheckedDecision(users, clocks.wall), settings, options, () =>
    onRevalidated(config.name, 'stale'),
  );
  let isUidMissingLogged = false;
  const warnWithoutUid = ({ username: subject, uid }: UserInfo) => {
    if (uid !== undefined || isUidMissingLogged) return;
    isUidMissingLogged = true;
    logger.warn(
      { authenticator: config.name, subject, hint: uidHint },
      'user without a uid logged in: a later user with the same name gets their sessions',
    );
  };
  const link: LoginLink = {
    name: config.name,
    onError: config.onError,
    username: config.username,
    hasUids: () => listsUids(authenticator),
    async logIn(username, password, context) {
      const token = authenticator.loginToken?.(username, password);
      if (token === undefined) return { kind: 'no-opinion' };
      const answer = await checkLogin(token, context);
      if (answer.kind === 'logged-in') warnWithoutUid(answer.backendUser);
      return answer;
    },
  };
  return { link, users: withPolicy(cached, options) };
}

/** Whether a plugin lists users, and each with a uid. */
function listsUids(authenticator: Authenticator): boolean {
  const users = [...(authenticator.knownUsers?.() ?? [])];
  return users.length > 0 && users.every(({ uid }) => uid !== undefined);
}

/** Makes the cache settings for answers about users of sessions. @param lifetimes `cache` of the config */
export function sessionUsersCache(
  config: AuthenticatorConfig,
  { revalidate: authenticatedTtl, maxSessions }: LoginConfig,
  lifetimes: CacheLifetimes,
): CacheSettings {
  return {
    ...userCache(config, { use: 'users of sessions', authenticatedTtl }, lifetimes),
    // Each session asks about its user by itself.
    maxOfUser: Math.max(maxAnswersOfUser, maxSessions),
  };
}
