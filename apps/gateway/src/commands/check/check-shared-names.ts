import type { Authenticator } from '@sallyport/authenticator';
import type { AuthenticatorConfig, LoginConfig } from '../../config/types.ts';
import { type Findings, warning } from '../finding.ts';

/** An authenticator that is asked about a name and a password. */
interface LoginAuthenticator {
  readonly config: Pick<AuthenticatorConfig, 'name' | 'reviews'>;
  readonly authenticator: Pick<Authenticator, 'recognizes' | 'loginToken'>;
}

interface CheckedAuthenticator {
  readonly config: Pick<AuthenticatorConfig, 'name' | 'username' | 'plugin' | 'reviews'>;
  readonly authenticator?:
    | Pick<Authenticator, 'recognizes' | 'loginToken' | 'tokenStore'>
    | undefined;
}

/**
 * Warns of authenticators that are asked about the same names and passwords: of two users with one name, one can't get in. And of
 * authenticators that give names with one prefix. It says nothing while one of them can't be made, which is an error already, or
 * when a plugin throws.
 *
 * @param chain in the order of the chain, including closed ones: both calls need no backend
 */
export function checkSharedNames(
  chain: readonly CheckedAuthenticator[],
  login: Pick<LoginConfig, 'authenticators' | 'sessions'> | undefined,
): Findings {
  // Sessions have the names of users of other authenticators.
  const naming = chain.filter(({ config }) => config.name !== login?.sessions);
  const created = naming.flatMap(({ config, authenticator }) =>
    authenticator === undefined ? [] : [{ config, authenticator }],
  );
  if (created.length < naming.length) return [];
  try {
    // The operator writes the names in a file, or in a store of issued tokens.
    const withBackend = created.filter(
      ({ config, authenticator }) =>
        authenticator.tokenStore === undefined && config.plugin.caching !== 'none',
    );
    return [
      ...findSharedNames(created, login?.authenticators),
      ...findSharedPrefixes(withBackend.map(({ config }) => config)),
    ];
  } catch {
    return [];
  }
}

/**
 * Finds authenticators that are asked one after the other about a name and a password: in a token that an earlier one recognizes
 * too, or at a login.
 *
 * @param chain in the order of the chain
 * @param login `login.authenticators`
 */
export function findSharedNames(
  chain: readonly LoginAuthenticator[],
  login: readonly string[] = [],
): Findings {
  const able = chain.filter(({ authenticator }) => authenticator.loginToken !== undefined);
  const groups: LoginAuthenticator[][] = [];
  for (const link of able.filter(({ config }) => config.reviews)) {
    const token = link.authenticator.loginToken?.('name', 'password');
    const earlier = groups.find(
      (group) => token !== undefined && group.some((member) => recognizes(member, token)),
    );
    if (earlier === undefined) groups.push([link]);
    else earlier.push(link);
  }
  const byToken = groups.map((group) => joinNames(group)).filter((names) => names.includes(', '));
  const atLogin = joinNames(
    login.flatMap((name) => able.filter(({ config }) => config.name === name)),
  );
  const isLoginApart = atLogin.includes(', ') && !byToken.includes(atLogin);
  return [
    ...byToken.flatMap((names) =>
      describe(names, names === atLogin ? 'in a token or at a login' : 'in a token'),
    ),
    ...(isLoginApart ? describe(atLogin, 'at a login') : []),
  ];
}

function recognizes({ authenticator }: LoginAuthenticator, token: string): boolean {
  return authenticator.recognizes?.(token) !== false;
}

function joinNames(group: readonly LoginAuthenticator[]): string {
  return group.map(({ config }) => config.name).join(', ');
}

function describe(names: string, place: string): Findings {
  return warning(
    'shared-names',
    `${names}: they are asked in this order about a name and a password ${place}, and the first one that knows the name decides. ` +
      'A user of a later one whose name an earlier one also knows is refused, even with the right password. If an earlier ' +
      'one refuses names that it does not know (user.unknown: rejected), no user of a later one gets access',
    'if two of them can have the same name, let their users log in by different names, and acknowledge this warning: see "Two ' +
      'directories that share names" in docs/identity-policy.md',
  );
}

/** Finds authenticators whose users of one name are one user to Kubernetes, whatever they typed. */
function findSharedPrefixes(configs: readonly CheckedAuthenticator['config'][]): Findings {
  const groups = Map.groupBy(configs, ({ username }) => username.prefix);
  return [...groups].flatMap(([prefix, group]) => {
    if (group.length < 2) return [];
    const names = group.map(({ name }) => name).join(', ');
    const shared =
      prefix === '' ? 'no username.prefix' : `one username.prefix, ${JSON.stringify(prefix)}`;
    return warning(
      'shared-prefix',
      `${names}: they have ${shared}, so different people with the same name there are one user to Kubernetes, with all rights of that user`,
      'give each a username.prefix of its own, unless a name is the same person in all of them, or their options keep the names apart',
    );
  });
}
