import type { UserInfo } from '@sallyport/authenticator';
import type { IdentityConfig } from '../../config/types.ts';
import { UsageError } from '../usage-error.ts';

/**
 * Names of a new token are without the prefixes of the config, which are put before them at each use.
 *
 * @throws UsageError for a name that has its prefix already, and would get it twice
 */
export function refusePrefixed({ username, groups = [] }: UserInfo, identity: IdentityConfig): void {
  refuse('--user', username, identity.username.prefix);
  for (const group of groups) refuse('--group', group, identity.groups.prefix);
}

function refuse(option: string, name: string, prefix: string): void {
  if (prefix === '' || !name.startsWith(prefix)) return;
  throw new UsageError(
    `${option} is without the prefix ${prefix}; write ${option} ${name.slice(prefix.length) || 'NAME'}`,
  );
}

/**
 * The user whose tokens are looked for, as the backend knows them. Both spellings are taken: that of `create`, and that
 * of `list` and of Kubernetes.
 *
 * @throws UsageError when nothing but the prefix is given
 */
export function withoutPrefix(name: string, { username: { prefix } }: IdentityConfig): string {
  if (!name.startsWith(prefix)) return name;
  if (name === prefix) throw new UsageError(`--user is the prefix alone: write --user ${prefix}NAME`);
  return name.slice(prefix.length);
}
