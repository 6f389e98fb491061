import type { GatewayConfig, LoginConfig, SecondFactorConfig } from '../../config/types.ts';
import { createFactorPolicy, type FactorPolicy } from '../../login/factors/policy.ts';
import type { CreatedAuthenticator } from '../../runtime/authenticators.ts';
import { type Findings, ok, warning } from '../finding.ts';

interface CheckedAuthenticator {
  readonly config: Pick<CreatedAuthenticator['config'], 'name' | 'reviews' | 'username'>;
  readonly authenticator: Pick<CreatedAuthenticator['authenticator'], 'loginToken'>;
}

/** Whether token reviews accept a name and a password. */
const takesPasswords = ({ config, authenticator }: CheckedAuthenticator): boolean =>
  config.reviews && authenticator.loginToken !== undefined;

/**
 * Lists each way by which users get in without the second factor of `login.secondFactor`.
 *
 * @param created in the order of the chain, including closed ones. Each that could not be made is an error already
 */
export function checkSecondFactor(
  { login }: Pick<GatewayConfig, 'login'>,
  created: readonly CheckedAuthenticator[],
): Findings {
  const secondFactor = login?.secondFactor;
  if (login === undefined || secondFactor === undefined) return [];
  const { isCovered } = createFactorPolicy(login);
  const bypasses = [
    ...tokenWays(login, created, isCovered),
    ...loginWays(login, created, isCovered),
    ...sharedPrefixes(login, secondFactor, created, isCovered),
    ...Object.entries(login.providers).map(([name, { authenticator }]) => ({
      detail: `users who log in at provider ${name} are not asked for it: they have the second factor of the provider, if it asks for one`,
      fix: `require it there, and have authenticator ${authenticator} accept only ID tokens that say so, such as claimValidationRules: [{ claim: acr, requiredValue: VALUE }]`,
    })),
  ];
  return [
    ...ok(policyText(secondFactor)),
    ...bypasses.flatMap(({ detail, fix }) => warning('second-factor', detail, fix)),
    ...otherTokens(login, created),
  ];
}

function policyText({ required, redis: { keyPrefix } }: SecondFactorConfig): string {
  if (required === 'all') return 'required of all users who log in with a password';
  if (required !== 'none') return `required of members of ${required.groups.join(', ')}`;
  return `required of no one: only users who have one are asked for it, and anyone who can delete the keys ${keyPrefix}factor:* in its Redis can remove it`;
}

/** Finds authenticators that take a name and a password as a bearer token, in which there is no place for a code. */
function tokenWays(
  login: LoginConfig,
  created: readonly CheckedAuthenticator[],
  isCovered: FactorPolicy['isCovered'],
) {
  return created.filter(takesPasswords).map(({ config: { name } }) => {
    const begin = `authenticator ${name} accepts a name and a password as a bearer token, without a second factor`;
    if (isCovered(name))
      return {
        detail: `${begin}: anyone who has the password of a user gets in`,
        fix: `add reviews: false to authenticator ${name}. Its users then need kubectl sallyport to log in`,
      };
    return {
      detail: `${begin}: login.secondFactor does not cover it, and its users may be the same people`,
      fix: login.authenticators.includes(name)
        ? `add reviews: false to authenticator ${name}, and add it to login.secondFactor.authenticators`
        : `if they are, remove authenticator ${name}, or move them to ${login.authenticators.join(', ')}`,
    };
  });
}

/** Finds authenticators whose users log in with the password alone. One that takes it in tokens too was reported before. */
function loginWays(
  login: LoginConfig,
  created: readonly CheckedAuthenticator[],
  isCovered: FactorPolicy['isCovered'],
) {
  const isReported = (name: string) =>
    created.some((link) => link.config.name === name && takesPasswords(link));
  return login.authenticators
    .filter((name) => !isCovered(name) && !isReported(name))
    .map((name) => ({
      detail: `users of authenticator ${name} log in with the password alone: login.secondFactor.authenticators does not include it`,
      fix: `add ${name} there`,
    }));
}

/** Finds logins at which a user can have the same name as at another one, and is not asked for a factor that they added there. */
function sharedPrefixes(
  { authenticators }: Pick<LoginConfig, 'authenticators'>,
  { required }: Pick<SecondFactorConfig, 'required'>,
  created: readonly CheckedAuthenticator[],
  isCovered: FactorPolicy['isCovered'],
) {
  if (required === 'all') return [];
  const logins = created.filter(({ config: { name } }) => authenticators.includes(name));
  const byPrefix = Map.groupBy(logins, ({ config }) => config.username.prefix);
  return [...byPrefix.values()].flatMap((sharing) => {
    const names = sharing.map(({ config: { name } }) => name);
    if (names.length < 2 || !names.some(isCovered)) return [];
    return {
      detail: `users of authenticators ${names.join(', ')} can have the same names, and each of these asks only for a second factor that was added there`,
      fix: 'set login.secondFactor.required: all, or give each authenticator a username.prefix of its own',
    };
  });
}

/** Names the authenticators whose tokens are not from a login. */
function otherTokens(login: LoginConfig, created: readonly CheckedAuthenticator[]): Findings {
  const names = created
    .filter(
      (link) => link.config.reviews && link.config.name !== login.sessions && !takesPasswords(link),
    )
    .map(({ config }) => config.name);
  if (names.length === 0) return [];
  return ok(`tokens of ${names.join(', ')} need no second factor: anyone who has one gets in`);
}
