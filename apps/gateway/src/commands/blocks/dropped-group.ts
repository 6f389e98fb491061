import { anyGlob } from '../../base/glob.ts';
import { printable } from '../../base/logging/printable.ts';
import type { ProblemWords } from '../../config/problems.ts';
import type { AuthenticatorConfig } from '../../config/types.ts';
import type { Invocation } from '../context.ts';
import { commandLine } from '../printed-commands.ts';

/**
 * Describes that no user has a group, since `groups.allow` drops it before blocks are compared.
 *
 * @param authenticators those that give users their groups
 * @param group as Kubernetes sees it
 * @returns undefined if an authenticator passes the group on, or if the group has the prefix of none
 */
export function describeDroppedGroup(
  context: Invocation,
  authenticators: readonly Pick<AuthenticatorConfig, 'name' | 'groups'>[],
  group: string,
): ProblemWords | undefined {
  const sources = authenticators.filter(({ groups }) => group.startsWith(groups.prefix));
  const isAllowed = ({ groups: { prefix, allow } }: Pick<AuthenticatorConfig, 'groups'>) =>
    allow === undefined || anyGlob(allow)(group.slice(prefix.length));
  if (sources.length === 0 || sources.some(isAllowed)) return undefined;
  const keys = sources.map(({ name }) => `groups.allow of authenticator ${name}`).join(' and ');
  return {
    message: `no user has the group ${printable(group)} in Kubernetes: ${keys} drops it, so this block refuses no one`,
    fix: `block the users themselves, or a group that is allowed. To see the groups of a user, run: ${commandLine(context, ['explain', '--user', 'NAME'])}`,
  };
}
