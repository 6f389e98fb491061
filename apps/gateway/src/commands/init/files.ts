import type { Stats } from 'node:fs';
import { link, lstat, mkdir, open, rename, rm, rmdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { causeOf } from '../../config/problems.ts';

/** A file to write. */
export interface NewFile {
  /** Absolute. */
  readonly path: string;
  readonly content: string;
  /** It holds a key or tokens: only its owner may read it. */
  readonly isSecret: boolean;
}

/** Returns those of the paths that exist. A dangling link exists too. */
export async function existing(paths: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    paths.map((path) =>
      lstat(path).then(
        () => [path],
        (error: NodeJS.ErrnoException) => {
          if (error.code === 'ENOENT') return [];
          throw explained(path, error);
        },
      ),
    ),
  );
  return found.flat();
}

/**
 * Writes files that do not exist yet, and the folders they are in. When one can't be written, it removes those before it.
 *
 * @throws Error naming the file, why, and how to fix it
 */
export async function createFiles(files: readonly NewFile[]): Promise<void> {
  const undo: (() => Promise<void>)[] = [];
  try {
    for (const file of files) {
      const folder = dirname(file.path);
      const first = await mkdir(folder, { recursive: true, mode: 0o755 }).catch((error: unknown) => {
        throw explained(folder, error);
      });
      if (first !== undefined) undo.unshift(() => removeFolders(folder, first));
      await write(file.path, file);
      undo.unshift(() => rm(file.path, { force: true }));
    }
  } catch (error) {
    for (const step of undo) await step().catch(() => undefined);
    throw error;
  }
}

/** Removes a folder and those around it, up to the one that was made first. */
async function removeFolders(folder: string, first: string): Promise<void> {
  await rmdir(folder);
  if (folder !== first) await removeFolders(dirname(folder), first);
}

/**
 * Replaces files by new ones that keep the owner and the mode of the old. All are complete on disk before the first is
 * replaced. When one can't be replaced, the old ones are put back.
 *
 * @throws Error naming the file, why, and how to fix it
 */
export async function replaceFiles(files: readonly NewFile[]): Promise<void> {
  const undo: (() => Promise<void>)[] = [];
  try {
    for (const file of files) await prepare(file);
    for (const { path } of files) {
      const isNew = (await existing([path])).length === 0;
      if (!isNew) await link(path, oldOf(path)).catch((error: unknown) => Promise.reject(explained(path, error)));
      await rename(newOf(path), path).catch((error: unknown) => Promise.reject(explained(path, error)));
      undo.unshift(() => (isNew ? rm(path) : rename(oldOf(path), path)));
    }
  } catch (error) {
    for (const step of undo) await step();
    throw error;
  } finally {
    // What an interrupted run left behind is removed at the next one.
    for (const { path } of files) {
      await rm(newOf(path), { force: true });
      await rm(oldOf(path), { force: true });
    }
  }
}

const newOf = (path: string) => `${path}.new`;
const oldOf = (path: string) => `${path}.old`;

/** Writes the new file beside the old one, which it resembles. */
async function prepare(file: NewFile): Promise<void> {
  const path = newOf(file.path);
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o755 });
    await rm(path, { force: true });
    await rm(oldOf(file.path), { force: true });
  } catch (error) {
    throw explained(path, error);
  }
  const before = await lstat(file.path).catch(() => undefined);
  await write(path, file, before?.isFile() === true ? before : undefined);
}

/** Writes a file that does not exist, through to the disk. @param like has the owner and the mode that it gets */
async function write(path: string, { content, isSecret }: NewFile, like?: Stats): Promise<void> {
  try {
    await using file = await open(path, 'wx', isSecret ? 0o600 : 0o644);
    try {
      await file.writeFile(content);
      // By the open file: another account that may write to the folder could put a link in the place of its name.
      if (like !== undefined) {
        await file.chown(like.uid, like.gid);
        await file.chmod(like.mode & 0o7777);
      }
      await file.sync();
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    }
  } catch (error) {
    throw explained(path, error);
  }
}

const causes: Readonly<Record<string, string>> = {
  EACCES: 'permission denied. Run this as a user who may write there, or choose another folder',
  EPERM: 'permission denied. Run this as a user who may write there, or choose another folder',
  EROFS: 'the file system is read-only. Choose another folder',
  ENOSPC: 'the disk is full. Free some space and run this again',
  ENOTDIR: 'a part of the path is a file. Choose another folder',
  EEXIST: 'it exists already. Choose another folder',
};

function explained(path: string, error: unknown): Error {
  const { code } = error as NodeJS.ErrnoException;
  return new Error(`cannot write ${path}: ${causes[String(code)] ?? causeOf(error)}`, { cause: error });
}
