import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { shellQuoted } from '../../base/shell-quoted.ts';
import { nameOfGroup } from '../../config/permission.ts';
import type { GatewayConfig } from '../../config/types.ts';
import { type Findings, warning } from '../finding.ts';
import { names } from '../init/layout.ts';
import type { TrustedFile } from '../permissions.ts';

/** A ServiceAccount is an account of this machine that no one can log in to. */
interface ServiceAccount {
  readonly name: string;
  readonly uid: number;
  /** The name of its group, or the number of a group without a name. */
  readonly group: string;
}

/** Returns the account of this process if it is one of a service. */
export async function serviceAccount(): Promise<ServiceAccount | undefined> {
  if (process.getuid === undefined || process.getuid() === 0) return undefined;
  try {
    const { username: name, uid, gid, shell } = userInfo();
    if (!/\/(nologin|false)$/.test(shell ?? '')) return undefined;
    return { name, uid, group: (await nameOfGroup(gid)) ?? String(gid) };
  } catch {
    // An account of a container may have no entry.
    return undefined;
  }
}

/**
 * Warns of what the account of the gateway could change or read, so that whoever takes over the gateway could let in anyone later:
 * files that decide who gets in, the folders they are in, and the key of the CA.
 *
 * @param files files with a secret are only read, and may belong to the account
 */
export async function checkOwner(
  { file, baseDirectory }: Pick<GatewayConfig, 'file' | 'baseDirectory'>,
  files: readonly TrustedFile[],
  account: ServiceAccount | undefined,
): Promise<Findings> {
  if (account === undefined) return [];
  const publicFiles = files.filter(({ secret }) => secret !== true);
  const trusted = [file, ...publicFiles.map((publicFile) => publicFile.file)];
  const paths = [...new Set([...trusted, ...trusted.map(dirname)])];
  const stats = await Promise.all(paths.map((path) => stat(path).catch(() => undefined)));
  const owned = paths.filter((_, index) => stats[index]?.uid === account.uid).map(shellQuoted);
  const key = join(baseDirectory, names.authorityKey);
  const isReadable = await access(key, constants.R_OK).then(
    () => true,
    () => false,
  );
  const gateway = `${account.name}, the account of the gateway`;
  return [
    ...(owned.length > 0
      ? warning(
          'gateway-files',
          `what decides who gets in belongs to ${gateway}: an attacker who takes over the gateway can change it`,
          `run, as root: chown root:${account.group} ${owned.join(' ')} && chmod g+rX ${owned.join(' ')}`,
        )
      : []),
    ...(isReadable
      ? warning(
          'ca-key',
          `${key} can be read by ${gateway}: an attacker who takes over the gateway can make certificates that everyone trusts`,
          'keep that key offline (docs/install/certificates.md)',
        )
      : []),
  ];
}
