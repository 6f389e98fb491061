import type { Authenticator, DirectoryUse, UserInfo } from '@sallyport/authenticator';
import { printable } from '../../base/logging/printable.ts';
import type { AuthenticatorConfig } from '../../config/types.ts';
import { joinValues } from '../../engine/directory/with-directory.ts';
import { directoryProblems } from '../../runtime/assemble-directory.ts';
import type { CreatedAuthenticator } from '../../runtime/authenticators.ts';
import { type Findings, toPlacedError, warning } from '../finding.ts';
import { createList } from './check-known-users.ts';

/** Returns how `directory` of the config uses an authenticator. */
export function directoryUse(
  { name, directory }: Pick<AuthenticatorConfig, 'name' | 'directory'>,
  chain: readonly Pick<AuthenticatorConfig, 'name' | 'directory'>[],
): DirectoryUse {
  return {
    ...(directory && { lookedUpBy: directory.by }),
    ...(chain.some((link) => link.directory?.authenticator === name) && { isDirectory: true }),
  };
}

/**
 * Finds authenticators whose directory can't look users up; `serve` refuses them too.
 *
 * @param created including closed ones. Each that could not be made is an error already
 */
export function checkDirectoryAbility(created: Parameters<typeof directoryProblems>[0]): Findings {
  return directoryProblems(created).map((problem) => toPlacedError(problem));
}

interface CheckedAuthenticator {
  readonly config: Pick<CreatedAuthenticator['config'], 'name' | 'directory' | 'withhold'>;
  readonly authenticator: Pick<Authenticator, 'knownUsers'>;
}

/**
 * Warns of users without what `directory.by` looks them up by: each review of theirs is an error. A plugin that knows no users lists
 * one of each kind that it can give.
 */
export function checkLookedUpBy({ config, authenticator }: CheckedAuthenticator): Findings {
  const { name, directory, withhold } = config;
  if (directory === undefined || directory.by === 'username') return [];
  const { authenticator: directoryName, by: lookUpKey } = directory;
  const users = listUsers(authenticator);
  const lacking = users.filter((user) => joinValues(user, lookUpKey).length !== 1);
  const keyText =
    typeof lookUpKey === 'object' ? `exactly one value of extra ${lookUpKey.extra}` : 'a uid';
  const lookUpValue = typeof lookUpKey === 'object' ? 'this key of extra' : 'a uid';
  const fix = `set the option of ${name} that gives its users ${lookUpValue}, or another directory.by`;
  if (lacking.length > 0 && lacking.length === users.length) {
    const detail = `no user of ${name} has ${printable(keyText)}, so none can be looked up in ${directoryName}`;
    return warning('not-looked-up', withhold(detail), fix);
  }
  const list = createList();
  for (const { username } of lacking) list.add(printable(username));
  const detail = `of its users can't be looked up in ${directoryName}, since they don't have ${printable(keyText)}`;
  return list.toFindings(
    'not-looked-up',
    (count, listed) => withhold(`${count} ${detail}: ${listed}`),
    fix,
  );
}

/** An error of the plugin is a finding of `checkKnownUsers`. */
function listUsers(authenticator: CheckedAuthenticator['authenticator']): readonly UserInfo[] {
  try {
    return [...(authenticator.knownUsers?.() ?? [])];
  } catch {
    return [];
  }
}
