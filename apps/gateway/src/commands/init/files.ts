import { lstatSync, type Stats } from 'node:fs';
import { link, mkdir, open, rename, rm, rmdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { describeCause, FixableError } from '../../config/problems.ts';

export interface NewFile {
  readonly path: string;
  readonly content: string;
  /** Whether it has a key or tokens, so that only its owner may read it. */
  readonly isSecret: boolean;
}

/** Whether there is anything at a path. A dangling link exists, too. */
export function exists(path: string): Promise<boolean> {
  return explained(path, async () => lstatSync(path, { throwIfNoEntry: false }) !== undefined);
}

/** Writes files that do not exist yet, and the folders they are in. When one can't be written, it removes those before it. */
export async function createFiles(files: readonly NewFile[]): Promise<void> {
  await using undo = new AsyncDisposableStack();
  for (const file of files) {
    const folder = dirname(file.path);
    const outermost = await explained(folder, () =>
      mkdir(folder, { recursive: true, mode: 0o755 }),
    );
    if (outermost !== undefined)
      undo.defer(() => removeFolders(folder, outermost).catch(() => undefined));
    await write(file.path, file);
    undo.defer(() => rm(file.path, { force: true }).catch(() => undefined));
  }
  undo.move();
}

/** Removes a folder and those around it, up to the outermost folder that was made. */
async function removeFolders(folder: string, outermost: string): Promise<void> {
  await rmdir(folder);
  if (folder !== outermost) await removeFolders(dirname(folder), outermost);
}

/**
 * Replaces files by new ones that keep the owner and the mode of the old. All are complete on disk before the first is
 * replaced. When one can't be replaced, the old ones are put back.
 */
export async function replaceFiles(files: readonly NewFile[]): Promise<void> {
  const undo: (() => Promise<void>)[] = [];
  try {
    for (const file of files) await prepare(file);
    for (const { path } of files) {
      const isNew = !(await exists(path));
      await explained(path, async () => {
        if (!isNew) await link(path, toOldPath(path));
        await rename(toNewPath(path), path);
      });
      undo.unshift(() => (isNew ? rm(path) : rename(toOldPath(path), path)));
    }
  } catch (error) {
    for (const step of undo) await step();
    throw error;
  } finally {
    // What an interrupted run left behind is removed at the next one.
    for (const { path } of files) {
      await rm(toNewPath(path), { force: true });
      await rm(toOldPath(path), { force: true });
    }
  }
}

const toNewPath = (path: string) => `${path}.new`;
const toOldPath = (path: string) => `${path}.old`;

async function prepare(file: NewFile): Promise<void> {
  const path = toNewPath(file.path);
  const oldStats = await explained(path, async () => {
    await mkdir(dirname(path), { recursive: true, mode: 0o755 });
    await rm(path, { force: true });
    await rm(toOldPath(file.path), { force: true });
    return lstatSync(file.path, { throwIfNoEntry: false });
  });
  await write(path, file, oldStats?.isFile() ? oldStats : undefined);
}

/** Writes a file that does not exist, through to the disk. @param like the file whose owner and mode it gets */
function write(path: string, { content, isSecret }: NewFile, like?: Stats): Promise<void> {
  return explained(path, async () => {
    await using file = await open(path, 'wx', isSecret ? 0o600 : 0o644);
    try {
      await file.writeFile(content);
      // This uses the open file: another account that may write to the folder could put a link in the place of its name.
      if (like !== undefined) {
        await file.chown(like.uid, like.gid);
        await file.chmod(like.mode & 0o7777);
      }
      await file.sync();
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    }
  });
}

type Cause = readonly [reason: string, fix?: string];

const denied: Cause = [
  'permission denied',
  'run this as a user who can write there, or choose another folder',
];

const causes: Readonly<Record<string, Cause>> = {
  EACCES: denied,
  EPERM: denied,
  EROFS: ['the file system is read-only', 'choose another folder'],
  ENOSPC: ['the disk is full', 'free some space, and run this again'],
  ENOTDIR: ['a part of the path is a file', 'choose another folder'],
  EEXIST: ['it exists already', 'choose another folder'],
};

/** Runs work on a path. @throws FixableError that names the path and the reason */
async function explained<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const [reason, fix] = causes[String(code)] ?? [describeCause(error)];
    throw new FixableError(`can't write ${path}: ${reason}`, fix, { cause: error });
  }
}
