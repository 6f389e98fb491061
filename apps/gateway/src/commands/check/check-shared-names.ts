import type { Authenticator } from '@sallyport/authenticator';
import type { ProblemWords } from '../../config/problems.ts';
import type { AuthenticatorConfig, LoginConfig } from '../../config/types.ts';
import { detailOf, type Finding } from '../finding.ts';

interface Named {
  readonly name: string;
  /** Whether reviews ask it about tokens. */
  readonly reviews: boolean;
  readonly authenticator: Pick<Authenticator, 'recognizes' | 'loginToken'>;
}

interface Created {
  readonly name: string;
  readonly authenticator:
    | Pick<Authenticator, 'recognizes' | 'loginToken' | 'tokenStore'>
    | undefined;
}

interface Settings {
  readonly authenticators: readonly Pick<
    AuthenticatorConfig,
    'name' | 'username' | 'plugin' | 'reviews'
  >[];
  readonly login?: Pick<LoginConfig, 'authenticators' | 'sessions'> | undefined;
}

/**
 * Warns of authenticators that are asked about the same names and passwords: of two users with one name, one can't get in. And of
 * those that give names with one prefix. It says nothing while one of them can't be made, which is an error of its own, or when a
 * plugin throws.
 *
 * @param all in the order of the chain, also closed ones: both calls need no backend
 */
export function checkSharedNames(
  all: readonly Created[],
  { authenticators, login }: Settings,
): readonly Finding[] {
  // Sessions have the names of others.
  const naming = all.filter(({ name }) => name !== login?.sessions);
  const made = naming.flatMap(({ name, authenticator }) =>
    authenticator === undefined
      ? []
      : authenticators
          .filter((one) => one.name === name)
          .map(({ reviews }) => ({ name, reviews, authenticator })),
  );
  if (made.length < naming.length) return [];
  try {
    // The operator writes the names in a file, or in a store of issued tokens.
    const others = made
      .filter(({ authenticator }) => authenticator.tokenStore === undefined)
      .map(({ name }) => name);
    const found = authenticators.filter(
      ({ name, plugin }) => others.includes(name) && plugin.caching !== 'none',
    );
    const details = [...sharedNames(made, login?.authenticators), ...sharedPrefixes(found)];
    return details.map((one) => ({
      check: 'shared names',
      result: 'warning',
      ...detailOf(one),
    }));
  } catch {
    return [];
  }
}

/**
 * Describes those that are asked one after the other about a name and a password: in a token that an earlier one recognizes
 * too, or at a login.
 *
 * @param all in the order of the chain
 * @param login `login.authenticators`
 */
export function sharedNames(
  all: readonly Named[],
  login: readonly string[] = [],
): readonly ProblemWords[] {
  const able = all.filter(({ authenticator }) => authenticator.loginToken !== undefined);
  const groups: Named[][] = [];
  for (const one of able.filter(({ reviews }) => reviews)) {
    const token = one.authenticator.loginToken?.('name', 'password');
    const earlier = groups.find(
      (group) => token !== undefined && group.some((other) => recognizes(other, token)),
    );
    if (earlier === undefined) groups.push([one]);
    else earlier.push(one);
  }
  const byToken = groups.map((group) => namesOf(group)).filter((names) => names.includes(', '));
  const atLogin = namesOf(login.flatMap((name) => able.filter((one) => one.name === name)));
  const isLoginApart = atLogin.includes(', ') && !byToken.includes(atLogin);
  return [
    ...byToken.map((names) =>
      describe(names, names === atLogin ? 'in a token or at a login' : 'in a token'),
    ),
    ...(isLoginApart ? [describe(atLogin, 'at a login')] : []),
  ];
}

function recognizes({ authenticator }: Named, token: string): boolean {
  return authenticator.recognizes?.(token) !== false;
}

function namesOf(group: readonly Named[]): string {
  return group.map(({ name }) => name).join(', ');
}

function describe(names: string, where: string): ProblemWords {
  return {
    message:
      `${names}: they are asked in this order about a name and a password ${where}, and the first one that knows the name decides. ` +
      'A user of a later one whose name an earlier one also knows is refused, even with the right password. If an earlier ' +
      'one refuses names that it does not know (user.unknown: rejected), no user of a later one gets access',
    fix:
      'if two of them can have the same name, let their users log in by different names: see "Two directories that share ' +
      'names" in docs/identity-policy.md',
  };
}

/** Describes those whose users of one name are one user to Kubernetes, whatever they typed. */
function sharedPrefixes(all: Settings['authenticators']): readonly ProblemWords[] {
  const groups = Map.groupBy(all, ({ username }) => username.prefix);
  return [...groups].flatMap(([prefix, group]) => {
    if (group.length < 2) return [];
    const names = group.map(({ name }) => name).join(', ');
    const shared =
      prefix === '' ? 'no username.prefix' : `one username.prefix, ${JSON.stringify(prefix)}`;
    return {
      message: `${names}: they have ${shared}, so different people with the same name there are one user to Kubernetes, with all rights of that user`,
      fix: 'give each a username.prefix of its own, unless a name is the same person in all of them, or their options keep the names apart',
    };
  });
}
