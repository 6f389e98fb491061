import { lstatSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { posix, win32 } from 'node:path';
import { reasonOf } from '../failure.ts';

/** What the place depends on. */
export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
}

/** Where sessions are cached: beside what kubectl caches if KUBECACHEDIR says where, else where the system wants caches. */
export function cacheFolder({ platform, env, home }: Machine): string {
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

/**
 * Makes the folder, for this user alone.
 *
 * @returns why nothing may be cached in it; undefined when it is fine
 */
export function prepareFolder(folder: string): string | undefined {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return folderProblem(folder);
  } catch (error) {
    return reasonOf(error);
  }
}

/** On Windows, a folder has the rights of the one around it, and Node can't read them: LOCALAPPDATA is the user's alone. */
function folderProblem(folder: string): string | undefined {
  const stat = lstatSync(folder);
  if (!stat.isDirectory()) return `${folder} is no folder`;
  if (process.getuid === undefined) return;
  if (stat.uid !== process.getuid()) return `${folder} belongs to another user`;
  if ((stat.mode & 0o022) !== 0) return `${folder} can be written by other users. Run: chmod 700 ${folder}`;
  return;
}

/** Where this process caches sessions. */
export function cacheOfUser(): string {
  return cacheFolder({ platform: process.platform, env: process.env, home: homedir() });
}
