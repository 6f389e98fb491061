import {
  authenticatorTitle,
  type PreparedAuthenticator,
  passwordsAdvice,
} from './authenticators.ts';
import { isObject, type Problem, valueAt } from './problems.ts';
import { describeUnknownName } from './rule.ts';
import { namePattern } from './schema.ts';
import type { YamlSource } from './yaml.ts';

type NamedAuthenticator = Pick<PreparedAuthenticator, 'resolved'> & { readonly name: string };

/**
 * Checks the names in `login`: an authenticator has each, and the authenticator of `login.sessions` can issue sessions. Values that are missing or of
 * the wrong type are left to the schema of the file. So is a file in which an authenticator has no valid name, or two have the same: a name in
 * `login` may be the missing one.
 *
 * @param file as it is written
 */
export function loginNameProblems(
  file: YamlSource['value'],
  prepared: readonly PreparedAuthenticator[],
): Problem[] {
  const namedAuthenticators = prepared.flatMap(({ resolved }, index): NamedAuthenticator[] => {
    const name = valueAt(file, ['authenticators', index, 'name']);
    return typeof name === 'string' && namePattern.test(name) ? [{ name, resolved }] : [];
  });
  const names = new Set(namedAuthenticators.map(({ name }) => name));
  if (names.size === 0 || names.size < prepared.length) return [];
  const sessions = valueAt(file, ['login', 'sessions']);
  const list = valueAt(file, ['login', 'authenticators']);
  const checkers: readonly unknown[] = Array.isArray(list) ? list : [];
  const forPasswords = namedAuthenticators
    .map(({ name }) => name)
    .filter((name) => name !== sessions);
  return [
    ...checkers.flatMap((name, index) => {
      if (typeof name !== 'string' || namedAuthenticators.some((entry) => entry.name === name))
        return [];
      const words = describeUnknownName(name, forPasswords, passwordsAdvice);
      return [{ path: ['login', 'authenticators', index], ...words }];
    }),
    ...providerProblems(valueAt(file, ['login', 'providers']), namedAuthenticators),
    ...(typeof sessions === 'string'
      ? sessionsProblem(sessions, namedAuthenticators, checkers)
      : []),
  ];
}

/** The fix for a name in `login.providers`. */
const idTokensAdvice =
  'write the name of an authenticator that checks ID tokens, such as one with use: jwt';

function providerProblems(
  providers: unknown,
  namedAuthenticators: readonly NamedAuthenticator[],
): Problem[] {
  if (!isObject(providers)) return [];
  const names = namedAuthenticators.map(({ name }) => name);
  return Object.entries(providers).flatMap(([provider, value]) => {
    const name = isObject(value) ? value.authenticator : undefined;
    if (typeof name !== 'string' || names.includes(name)) return [];
    const words = describeUnknownName(name, names, idTokensAdvice);
    return [{ path: ['login', 'providers', provider, 'authenticator'], ...words }];
  });
}

/** Whether an authenticator can issue sessions, or its plugin could not be loaded and may be able to. */
function mayIssueTokens({ resolved }: NamedAuthenticator): boolean {
  return resolved === undefined || resolved.plugin.createTokenIssuer !== undefined;
}

/** Requires an authenticator that can issue sessions. */
function sessionsProblem(
  name: string,
  namedAuthenticators: readonly NamedAuthenticator[],
  checkers: readonly unknown[],
): Problem[] {
  const path = ['login', 'sessions'];
  const issuer = namedAuthenticators.find((entry) => entry.name === name);
  if (issuer === undefined) {
    const names = namedAuthenticators
      .filter((entry) => !checkers.includes(entry.name) && mayIssueTokens(entry))
      .map((entry) => entry.name);
    const advice =
      names.length > 0
        ? `write one of ${names.join(', ')}`
        : 'add an authenticator with use: redis, and write its name';
    return [{ path, ...describeUnknownName(name, names, advice) }];
  }
  if (mayIssueTokens(issuer)) return [];
  const message = `${authenticatorTitle(name, issuer.resolved?.package)} can't issue tokens, so it can't issue sessions`;
  return [{ path, message, fix: 'name an authenticator with use: redis' }];
}
