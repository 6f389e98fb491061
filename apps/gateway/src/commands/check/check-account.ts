import type { Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { shellQuoted } from '../../base/shell-quoted.ts';
import { accountsOfGroup, nameOfAccount, nameOfGroup } from '../../config/permission.ts';
import type { CommandContext } from '../context.ts';
import { printRemark } from '../output.ts';
import type { TrustedFile } from '../permissions.ts';
import { commandLineForAccount } from '../printed-commands.ts';

/**
 * Prints a remark if root checks the config of another account: root may read and write everything, so the check says nothing
 * about what that account may. In a pod, the gateway has the user of this process.
 */
export async function remarkOtherAccount(context: CommandContext, files: readonly TrustedFile[]) {
  if (process.getuid?.() !== 0 || context.environment.KUBERNETES_SERVICE_HOST) return;
  for (const { file, secret = false } of files) {
    const stats = await stat(file).catch(() => undefined);
    const reader = stats && (await findReader(stats, secret));
    if (reader === undefined) continue;
    const { description, account } = reader;
    const prefix =
      account === undefined ? 'as that account' : `runuser -u ${shellQuoted(account)} --`;
    printRemark(
      context,
      `this check ran as root, who can read and write everything, and files of this config are for ${description}`,
      `to check what the gateway can read and write, run ${prefix} ${commandLineForAccount(context, ['check'])}`,
    );
    return;
  }
}

/**
 * Returns for whom root keeps a file: the owner of a secret, or the group that may read what others may not. Undefined: for no one else.
 */
async function findReader({ uid, gid, mode }: Stats, secret: boolean) {
  if (uid !== 0) {
    const account = await nameOfAccount(uid);
    return secret ? { description: `the user ${account ?? uid}`, account } : undefined;
  }
  if (gid === 0 || (mode & 0o044) !== 0o040) return undefined;
  const accounts = await accountsOfGroup(gid);
  return {
    description: `the group ${(await nameOfGroup(gid)) ?? gid}`,
    account: accounts.length === 1 ? accounts[0] : undefined,
  };
}
