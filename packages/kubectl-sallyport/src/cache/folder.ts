import { lstatSync, type Stats } from 'node:fs';
import { homedir } from 'node:os';
import { posix, win32 } from 'node:path';
import { Failure, readReason } from '../failure.ts';
import { makeFolder } from '../files.ts';

/**
 * Finds where sessions are cached: next to what kubectl caches if KUBECACHEDIR says where, else
 * where the system has its caches.
 */
export function cacheFolder(
  platform: NodeJS.Platform = process.platform,
  env: Readonly<Record<string, string | undefined>> = process.env,
  home: string = homedir(),
): string {
  const { join, isAbsolute } = platform === 'win32' ? win32 : posix;
  // A relative path would be another folder with each working directory.
  const absolute = (path: string | undefined) => (path && isAbsolute(path) ? path : undefined);
  const ofKubectl = absolute(env.KUBECACHEDIR);
  if (ofKubectl !== undefined) return join(ofKubectl, 'sallyport');
  if (platform === 'win32') {
    return join(absolute(env.LOCALAPPDATA) ?? join(home, 'AppData', 'Local'), 'sallyport', 'cache');
  }
  if (platform === 'darwin') return join(home, 'Library', 'Caches', 'sallyport');
  return join(absolute(env.XDG_CACHE_HOME) ?? join(home, '.cache'), 'sallyport');
}

export const elsewhere = 'set KUBECACHEDIR to another folder';

/** Makes the folder, for this user alone. @returns why nothing may be cached in it, with the fix; undefined when it can be used */
export function prepareFolder(folder: string): Failure | undefined {
  try {
    makeFolder(folder, 0o700);
    const stat = lstatSync(folder);
    if (!stat.isDirectory()) return new Failure(`${folder} is not a folder`, elsewhere);
    const open = 'can be written by other users';
    const problem = rightsProblem(stat, 0o022, open);
    if (problem === undefined) return;
    return new Failure(
      `${folder} ${problem}`,
      problem === open ? `run: chmod 700 ${folder}` : elsewhere,
    );
  } catch (error) {
    return new Failure(readReason(error), elsewhere);
  }
}

/**
 * Names what is wrong with the rights of a file or a folder. On Windows, Node can't read rights, and files inherit them from
 * their folder: LOCALAPPDATA belongs to the user alone.
 */
export function rightsProblem(
  { uid, mode }: Stats,
  forbidden: number,
  problem: string,
): string | undefined {
  if (process.getuid === undefined) return;
  if (uid !== process.getuid()) return 'belongs to another user';
  return (mode & forbidden) === 0 ? undefined : problem;
}
