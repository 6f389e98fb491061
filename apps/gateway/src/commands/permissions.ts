import type { Stats } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { tlsFileLimit } from '@sallyport/plugin-kit';
import { shellQuoted } from '../base/shell-quoted.ts';
import type { WatchedFile } from '../config/files/watcher.ts';
import { readBytes } from '../config/read-text.ts';
import { type Findings, warning } from './finding.ts';

/** A TrustedFile decides who gets into the cluster. `secret`: it has a key, a password or a token. */
export type TrustedFile = Pick<WatchedFile, 'file' | 'secret'>;

/** Warns of files, and of the folders they are in, that others can change; and of secrets that others can read. */
export async function checkPermissions(files: readonly TrustedFile[]): Promise<Findings> {
  // This platform has no users and modes of this kind.
  if (process.getuid === undefined) return [];
  const targets = new Map<string, boolean>();
  for (const { file, secret = false } of files) {
    const target = await realpath(file).catch(() => undefined);
    // A file that can't be read is reported by the check that reads it.
    if (target !== undefined) targets.set(target, secret || targets.get(target) === true);
  }
  const folders = new Set([...targets.keys()].map((target) => dirname(target)));
  const findings = await Promise.all([
    ...[...targets].map(async ([file, secret]) =>
      checkPath(file, 'file', {
        r: secret && !(await isCertificate(file)) && 'read the secret in it',
        w: 'change it',
      }),
    ),
    ...[...folders].map((folder) =>
      checkPath(folder, 'folder', { r: false, w: 'replace the files in it' }),
    ),
  ]);
  return findings.flat();
}

/** Whether a file has a certificate in the place of a key, which is not a secret. The check that reads the file reports it. */
async function isCertificate(file: string): Promise<boolean> {
  const text = await readBytes(file, tlsFileLimit).then(String, () => '');
  return text.includes('-----BEGIN CERTIFICATE-----') && !text.includes('PRIVATE KEY-----');
}

const called = { g: 'its group', o: 'everyone on this machine' } as const;

/** Checks the mode of one path. @param effects what others can do who may read or write it; false: nothing harmful */
async function checkPath(
  path: string,
  kind: 'file' | 'folder',
  effects: Readonly<Record<Access, string | false>>,
): Promise<Findings> {
  const stats = await stat(path).catch(() => undefined);
  // A folder in the place of a file is reported by the check that reads it.
  if (stats === undefined || stats.isDirectory() !== (kind === 'folder')) return [];
  // In a folder with the sticky bit only the owner can replace a file: `/tmp`, volumes of Kubernetes.
  if (kind === 'folder' && (stats.mode & 0o1000) !== 0) return [];
  const problems = (['r', 'w'] as const).flatMap((access) => {
    const effect = effects[access];
    if (effect === false) return [];
    return listAccessors(access, stats).map((accessor) => ({
      description: `${called[accessor]} can ${effect}`,
      fix: `${accessor}-${access}`,
    }));
  });
  if (problems.length === 0) return [];
  const rights = problems.map(({ description }) => description).join(', ');
  const octal = (stats.mode & 0o7777).toString(8).padStart(4, '0');
  const fixes = problems.map(({ fix }) => fix).join(',');
  return warning(
    'permissions',
    `${path}: ${rights} (mode ${octal})`,
    `run chmod ${fixes} ${shellQuoted(path)}`,
  );
}

type Access = 'r' | 'w';

/**
 * Lists who has access besides the owner. A group with the owner's number is the owner's own, so it does not count. Nor does
 * a group that may read a file of root: that is how root gives it to the gateway's account (systemd, `fsGroup` of Kubernetes).
 */
export function listAccessors(
  access: Access,
  { mode, uid, gid }: Pick<Stats, 'mode' | 'uid' | 'gid'>,
): ('g' | 'o')[] {
  const [groupBit, othersBit] = access === 'r' ? [0o040, 0o004] : [0o020, 0o002];
  const isOwnGroup = uid === gid || (uid === 0 && access === 'r');
  return [
    ...((mode & groupBit) !== 0 && !isOwnGroup ? (['g'] as const) : []),
    ...((mode & othersBit) !== 0 ? (['o'] as const) : []),
  ];
}
