import { realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Finding } from './finding.ts';
import { shellQuoted } from './shell-quoted.ts';

/** A file that decides who gets into the cluster. */
export interface TrustedFile {
  /** Absolute. */
  readonly file: string;
  /** It holds a key, a password or a token. */
  readonly secret: boolean;
}

type Access = 'read' | 'write';

interface Owned {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** Warns of files, and of the folders they are in, that others can change; and of secrets that others can read. */
export async function checkPermissions(files: readonly TrustedFile[]): Promise<Finding[]> {
  // Where there are no users and modes of this kind.
  if (process.getuid === undefined) return [];
  const targets = new Map<string, boolean>();
  for (const { file, secret } of files) {
    const target = await realpath(file).catch(() => undefined);
    // A file that can't be read is reported by the check that reads it.
    if (target !== undefined) targets.set(target, secret || targets.get(target) === true);
  }
  const folders = new Set([...targets.keys()].map((target) => dirname(target)));
  const findings = await Promise.all([
    ...[...targets].map(([file, secret]) => judgeFile(file, secret)),
    ...[...folders].map(judgeFolder),
  ]);
  return findings.flat();
}

async function judgeFile(file: string, secret: boolean): Promise<Finding[]> {
  const found = await stat(file).catch(() => undefined);
  if (found === undefined) return [];
  const readers = secret ? othersWith('read', found) : [];
  return warn(file, found.mode, [
    ...readers.map((who) => ({ who, letter: 'r', what: 'read the secret in it' })),
    ...othersWith('write', found).map((who) => ({ who, letter: 'w', what: 'change it' })),
  ]);
}

/** In a folder with the sticky bit only the owner can replace a file: `/tmp`, volumes of Kubernetes. */
async function judgeFolder(folder: string): Promise<Finding[]> {
  const found = await stat(folder).catch(() => undefined);
  if (found === undefined || (found.mode & 0o1000) !== 0) return [];
  return warn(
    folder,
    found.mode,
    othersWith('write', found).map((who) => ({ who, letter: 'w', what: 'replace the files in it' })),
  );
}

const bits = { read: { group: 0o040, others: 0o004 }, write: { group: 0o020, others: 0o002 } } as const;

/**
 * Returns who has access besides the owner. A group with the owner's number is the owner's own, so it does not count. Nor does
 * a group that may read a file of root: that is how root gives it to the gateway's account (systemd, `fsGroup` of Kubernetes).
 */
export function othersWith(access: Access, { mode, uid, gid }: Owned): ('g' | 'o')[] {
  const { group, others } = bits[access];
  const isOwnGroup = uid === gid || (uid === 0 && access === 'read');
  return [
    ...((mode & group) !== 0 && !isOwnGroup ? (['g'] as const) : []),
    ...((mode & others) !== 0 ? (['o'] as const) : []),
  ];
}

interface Objection {
  readonly who: 'g' | 'o';
  readonly letter: string;
  readonly what: string;
}

const called = { g: 'its group', o: 'everyone on this machine' } as const;

function warn(path: string, mode: number, objections: readonly Objection[]): Finding[] {
  if (objections.length === 0) return [];
  const said = objections.map(({ who, what }) => `${called[who]} can ${what}`).join(', ');
  const octal = (mode & 0o7777).toString(8).padStart(4, '0');
  const changes = objections.map(({ who, letter }) => `${who}-${letter}`).join(',');
  const detail = `${path}: ${said} (mode ${octal}): run chmod ${changes} ${shellQuoted(path)}`;
  return [{ check: 'permissions', result: 'warning', detail }];
}
