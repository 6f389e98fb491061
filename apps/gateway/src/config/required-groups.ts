import { anyGlob } from '../base/glob.ts';
import type { FileConfig } from './schema.ts';

/** Whether a user of an authenticator can be in a group, as far as its config says. @param group as Kubernetes sees it */
export function canHaveGroup(
  {
    groups: { prefix, allow },
    allowSystemNames,
  }: Pick<FileConfig['authenticators'][number], 'groups' | 'allowSystemNames'>,
  group: string,
): boolean {
  if (!group.startsWith(prefix)) return false;
  if (group.startsWith('system:') && !anyGlob(allowSystemNames)(group)) return false;
  return allow === undefined || anyGlob(allow)(group.slice(prefix.length));
}
