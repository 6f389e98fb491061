import { constants, type FileHandle, open } from 'node:fs/promises';
import { howToRead } from './permission.ts';
import { FixableError } from './problems.ts';

const kibibyte = 1024;
export const mebibyte: number = 1024 * kibibyte;

const wherePathsStart = ' (relative paths start at the folder of the config file)';

/** An UnusableFileError says why a file can't be used. */
export class UnusableFileError extends Error {
  override readonly name = 'UnusableFileError';
  /** The message without the file's name. */
  readonly reason: string;
  /** Whether its path leads to no file. */
  readonly isWrongPath: boolean;
  /** How to fix it if the config names the file. Left out if the reason says it, or no fix is known. */
  readonly fix?: string;

  constructor(file: string, reason: string, fix?: string, isWrongPath = false) {
    super(`${file} ${reason}`);
    this.reason = reason;
    this.isWrongPath = isWrongPath;
    if (fix !== undefined) this.fix = isWrongPath ? fix + wherePathsStart : fix;
  }
}

/** Returns what a read threw, as an error that has its fix. It is for files that the config names. */
export function withFix(error: unknown): unknown {
  if (!(error instanceof UnusableFileError) || error.fix === undefined) return error;
  return new FixableError(error.message, error.fix, { cause: error });
}

/** Reads a file as `readBytes` does, which must be UTF-8. */
export async function readText(file: string, limit: number): Promise<string> {
  const bytes = await readBytes(file, limit);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    const { line, column } = findForeignByte(bytes);
    throw new UnusableFileError(
      file,
      `is not valid UTF-8: see byte ${column} of line ${line}`,
      'save it as UTF-8 text',
    );
  }
}

const replacement = Buffer.from('\ufffd');

/** Finds the first byte that is not UTF-8: it is decoded as U+FFFD. Lines and bytes count from 1. */
function findForeignByte(bytes: Buffer): { line: number; column: number } {
  const readable = Buffer.from(bytes.toString());
  let offset = readable.indexOf(replacement);
  // The file itself may have this character.
  while (bytes.subarray(offset, offset + replacement.length).equals(replacement))
    offset = readable.indexOf(replacement, offset + replacement.length);
  const readableBytes = bytes.subarray(0, offset);
  return {
    line: readableBytes.filter((byte) => byte === 10).length + 1,
    column: offset - readableBytes.lastIndexOf(10),
  };
}

/**
 * Reads a whole file.
 *
 * @param limit in bytes: a bigger file is refused without being read into memory
 * @throws UnusableFileError when it can't be read, is not a regular file (a pipe would hang) or is too big
 */
export async function readBytes(file: string, limit: number): Promise<Buffer> {
  try {
    // Without O_NONBLOCK, opening a pipe waits for a writer.
    await using handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    return await readWhole(file, handle, limit);
  } catch (error) {
    if (error instanceof UnusableFileError) throw error;
    const { code = '', message } = error as NodeJS.ErrnoException;
    if (code === 'EACCES')
      throw new UnusableFileError(file, `can't be read: ${denied}`, await howToRead(file));
    const [reason = code || message, fix] = wrongPaths[code] ?? [];
    const shownFix = literal.test(file)
      ? 'write the path itself: ~, variables and URLs mean nothing in a path'
      : fix;
    throw new UnusableFileError(file, `can't be read: ${reason}`, shownFix, code in wrongPaths);
  }
}

async function readWhole(file: string, handle: FileHandle, limit: number): Promise<Buffer> {
  const stats = await handle.stat();
  if (stats.isDirectory())
    throw new UnusableFileError(file, 'is a folder', 'name a file in it', true);
  if (!stats.isFile()) {
    throw new UnusableFileError(
      file,
      'is not a regular file',
      'name one: a pipe or a device might hang',
    );
  }
  if (stats.size <= limit) {
    // It reads one byte more than the limit, since a file may grow while it is read, and some files have no size.
    const options = {
      autoClose: false,
      end: limit,
      highWaterMark: choosePieceSize(stats.size, mebibyte),
    };
    const chunks: Buffer[] = [];
    for await (const chunk of handle.createReadStream(options)) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    if (bytes.length <= limit) return bytes;
  }
  const words = limit % mebibyte === 0 ? `${limit / mebibyte} MiB` : `${limit / kibibyte} KiB`;
  throw new UnusableFileError(file, `must be at most ${words}`, 'check the path');
}

/**
 * Returns how many bytes of a file to read in one piece: a stream allocates all of them, for each read.
 *
 * @param size bytes of the file; 0 for some that are not empty, such as those in /proc
 * @param max bytes
 */
export function choosePieceSize(size: number, max: number): number {
  return Math.min(max, Math.max(size + 1, 4 * kibibyte));
}

export const denied = 'permission denied for the user that runs the gateway';

/** Matches what a shell or a client of URLs would replace. */
const literal = /\/(~|\w+:\/|[^/]*\$[{\w])/;

const wrongPaths: Readonly<Record<string, readonly [reason: string, fix: string]>> = {
  ENOENT: ['there is no such file', 'create it, or fix the path'],
  ENOTDIR: ['a part of its path is a file, not a folder', 'fix the path'],
};
