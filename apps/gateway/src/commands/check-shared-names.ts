import type { Authenticator } from '@sallyport/authenticator';
import type { LoginConfig } from '../config/types.ts';
import type { Finding } from './check-files.ts';

interface Named {
  readonly name: string;
  readonly authenticator: Pick<Authenticator, 'recognizes' | 'loginToken'>;
}

/**
 * Warns of authenticators that are asked about the same names and passwords: of two users with one name, one can't get in. It
 * says nothing while one of them can't be made, which is an error of its own, or when a plugin throws.
 *
 * @param all in the order of the chain, also closed ones: both calls need no backend
 */
export function checkSharedNames(
  all: readonly { readonly name: string; readonly authenticator: Named['authenticator'] | undefined }[],
  login: Pick<LoginConfig, 'authenticators' | 'sessions'> | undefined,
): readonly Finding[] {
  // Sessions have the names of others.
  const naming = all.filter(({ name }) => name !== login?.sessions);
  const made = naming.flatMap(({ name, authenticator }) =>
    authenticator === undefined ? [] : [{ name, authenticator }],
  );
  if (made.length < naming.length) return [];
  try {
    const found = sharedNames(made, login?.authenticators);
    return found.map((detail) => ({ check: 'shared names', result: 'warning', detail }));
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
export function sharedNames(all: readonly Named[], login: readonly string[] = []): readonly string[] {
  const able = all.filter(({ authenticator }) => authenticator.loginToken !== undefined);
  const groups: Named[][] = [];
  for (const one of able) {
    const token = one.authenticator.loginToken?.('name', 'password');
    const earlier = groups.find((group) => token !== undefined && group.some((other) => recognizes(other, token)));
    if (earlier === undefined) groups.push([one]);
    else earlier.push(one);
  }
  const byToken = groups.map((group) => namesOf(group)).filter((names) => names.includes(', '));
  const atLogin = namesOf(login.flatMap((name) => able.filter((one) => one.name === name)));
  const isLoginApart = atLogin.includes(', ') && !byToken.includes(atLogin);
  return [
    ...byToken.map((names) => describe(names, names === atLogin ? 'in a token or at a login' : 'in a token')),
    ...(isLoginApart ? [describe(atLogin, 'at a login')] : []),
  ];
}

function recognizes({ authenticator }: Named, token: string): boolean {
  return authenticator.recognizes?.(token) !== false;
}

function namesOf(group: readonly Named[]): string {
  return group.map(({ name }) => name).join(', ');
}

function describe(names: string, where: string): string {
  return (
    `${names}: they are asked in this order about a name and a password ${where}, and the first one that knows the name decides. ` +
    'A user of a later one who has the same name as a user of an earlier one is refused, even with the right password. If that ' +
    'can be, let their users log in by different names: "Two directories that share names" in docs/configuration.md'
  );
}
