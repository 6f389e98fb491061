import { open } from 'node:fs/promises';

/** A file that can't be used. */
export class UnusableFileError extends Error {
  override readonly name = 'UnusableFileError';
  /** The message without the file's name. */
  readonly reason: string;

  constructor(file: string, reason: string) {
    super(`${file} ${reason}`);
    this.reason = reason;
  }
}

/**
 * Reads a whole text file.
 *
 * @param limit in bytes: a bigger file is refused without being held in memory
 * @throws UnusableFileError when it can't be read, is no regular file (a pipe would hang), is too big or no UTF-8
 */
export async function readText(file: string, limit: number): Promise<string> {
  const bytes = await readBytes(file, limit);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new UnusableFileError(file, 'is not valid UTF-8: save it as UTF-8 text');
  }
}

async function readBytes(file: string, limit: number): Promise<Uint8Array> {
  try {
    await using handle = await open(file);
    if (!(await handle.stat()).isFile()) throw new UnusableFileError(file, 'is not a regular file');
    const buffer = Buffer.alloc(limit + 1);
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length, length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    if (length > limit) throw new UnusableFileError(file, `is bigger than ${limit / 1024} KiB`);
    return buffer.subarray(0, length);
  } catch (error) {
    if (error instanceof UnusableFileError) throw error;
    throw new UnusableFileError(file, `can't be read: ${reasonOf(error)}`);
  }
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EACCES') return 'permission denied for the user that runs the gateway';
  return code ?? message;
}
