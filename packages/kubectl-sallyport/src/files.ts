import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { readCode } from './failure.ts';

/** Reads a file. @returns undefined when there is no such file. @throws Error of Node */
export function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (readCode(error) === 'ENOENT') return;
    throw error;
  }
}

/**
 * Makes a folder, and the folders above it. Node's own `recursive` never ends below `/proc`, where no folder can be made.
 *
 * @throws Error of Node
 */
export function makeFolder(path: string, mode?: number): void {
  const parent = dirname(path);
  if (parent !== path && !existsSync(parent)) makeFolder(parent, mode);
  try {
    mkdirSync(path, mode);
  } catch (error) {
    if (readCode(error) !== 'EEXIST') throw error;
  }
}

/** Creates a file. @returns false when it exists already: then it stays as it is. @throws Error of Node */
export function createFile(file: string, text: string): boolean {
  try {
    writeFileSync(file, text, { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    if (readCode(error) === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Replaces a file, so that others read the old one or the new one. Only this user may read it,
 * unless `mode` says otherwise.
 */
export function replaceFile(file: string, text: string, mode = 0o600): void {
  const temporary = `${file}.${process.pid}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    writeFileSync(temporary, text, { flag: 'wx', mode, flush: true });
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** Runs an action that may fail without harm, such as in a read-only file system. */
export function quietly(action: () => unknown): void {
  try {
    action();
  } catch {
    // A failure does no harm.
  }
}
