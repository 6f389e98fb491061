import type { Authenticator } from '@sallyport/authenticator';
import type { ConfigProblem } from '../config/problems.ts';
import type { AuthenticatorConfig, GatewayConfig } from '../config/types.ts';
import { withCheckedDecision } from '../engine/chain/decision.ts';
import { createDirectoryUsers, type DirectoryResult } from '../engine/directory/directory-user.ts';
import type { Directory } from '../engine/directory/with-directory.ts';
import { withBlocks } from '../engine/revocation/with-blocks.ts';
import { type GuardedParts, withPolicy } from './assemble-link.ts';
import type { CreatedAuthenticator } from './authenticators.ts';
import { addUserCache, userCache } from './user-cache.ts';

/**
 * Stacks the layers for users of `config` in its directory: blocks(policy(cache(checkedDecision(guard)))). It shares the guard of
 * the directory's own link, whose slots and circuit count these lookups.
 *
 * @param lifetimes `cache` of the config, for a directory whose own answers are not cached
 */
export function assembleDirectory(
  { name, directory }: Pick<AuthenticatorConfig, 'name' | 'directory'>,
  candidates: readonly GuardedParts[],
  lifetimes: GatewayConfig['cache'],
  onLookedUp: (authenticator: string, result: DirectoryResult) => void,
): Directory | undefined {
  if (directory === undefined) return undefined;
  const directoryParts = candidates.find(({ config }) => config.name === directory.authenticator);
  // config/rules.ts refuses such a name. Without this line, the users would get in with no groups.
  if (directoryParts === undefined)
    throw new Error(`${directory.authenticator} is not an authenticator`);
  const { config, guard, blocks, clocks, logger } = directoryParts;
  const onResult = (result: DirectoryResult) => onLookedUp(name, result);
  const users = withCheckedDecision(createDirectoryUsers(guard, name, onResult), clocks.wall);
  const settings = directoryCache(config, directory.refresh, lifetimes);
  const cached = addUserCache(users, settings, directoryParts, () => onResult('stale'));
  return {
    config: directory,
    usernamePrefix: config.username.prefix,
    users: withBlocks(withPolicy(cached, directoryParts), config.name, blocks, logger),
  };
}

/** Makes the cache settings for answers of a directory. @param lifetimes `cache` of the config */
export function directoryCache(
  config: AuthenticatorConfig,
  refresh: number,
  lifetimes: GatewayConfig['cache'],
) {
  const settings = { use: 'users of tokens', authenticatedTtl: refresh };
  return { ...userCache(config, settings, lifetimes), asksByName: true };
}

/** Says what an authenticator lacks to be a directory, for its user and for the author of its plugin. @returns undefined: nothing */
export function missingForDirectory({
  lookUp,
  revalidate,
}: Pick<Authenticator, 'lookUp' | 'revalidate'>): string | undefined {
  const missingMethods = Object.entries({ lookUp, revalidate }).filter(
    ([, method]) => typeof method !== 'function',
  );
  if (missingMethods.length === 0) return undefined;
  return `can't look users up for others (its plugin has ${missingMethods.map(([name]) => `no ${name}`).join(', ')})`;
}

/** Finds the authenticators whose `directory` can't look users up. */
export function directoryProblems(
  created: readonly Pick<CreatedAuthenticator, 'config' | 'authenticator'>[],
): readonly ConfigProblem[] {
  return created.flatMap(({ config }) => {
    const name = config.directory?.authenticator;
    const directoryAuthenticator = created.find(
      (authenticator) => authenticator.config.name === name,
    );
    const problem =
      directoryAuthenticator && missingForDirectory(directoryAuthenticator.authenticator);
    return problem === undefined ? [] : [config.directoryProblem(`${name} ${problem}`)];
  });
}
