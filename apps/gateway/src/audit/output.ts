import { constants, fstatSync, write } from 'node:fs';
import { access, type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import type { AuditConfig } from '../config/types.ts';

/** Where lines go. */
export interface AuditOutput {
  /**
   * How many bytes to write at once. A pipe takes up to PIPE_BUF whole or not at all (POSIX), so that nothing of
   * somebody else's, such as the log where both are one, gets in between. Only a line that is longer by itself may be parted.
   */
  readonly most: number;
  /** Whoever wrote before was stopped within a line. */
  readonly endsTorn: boolean;
  /** @returns how many were taken; rejects with EAGAIN when there is no room yet */
  write(bytes: Uint8Array): Promise<number>;
  /** The same for what is the same file by another descriptor. */
  readonly identity: string;
  close(): Promise<void>;
}

const pipeAtomic = 4096;
const fileAtOnce = 256 * 1024;

/** Why the file of a trail can't be used, and what to do. */
class AuditOutputError extends Error {
  override readonly name = 'AuditOutputError';
}

/** @throws AuditOutputError with the reason and the mend */
export async function openOutput({ output }: AuditConfig): Promise<AuditOutput> {
  if (output === 'stdout') return standardOutput();
  try {
    return await openFile(output.file);
  } catch (error) {
    throw unusable(output.file, error);
  }
}

/**
 * Whether `openOutput` would do, without leaving anything behind.
 *
 * @throws AuditOutputError with the reason and the mend
 */
export async function probeOutput({ output }: AuditConfig): Promise<void> {
  if (output === 'stdout') return;
  const { file } = output;
  try {
    // Without O_CREAT: a command that somebody else runs must not make a file that the gateway may not write.
    const handle = await openItself(file, constants.O_RDWR);
    await handle.close();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw unusable(file, error);
    await access(dirname(file), constants.W_OK | constants.X_OK).catch((inner: unknown) => {
      throw unusable(file, inner);
    });
  }
}

function standardOutput(): AuditOutput {
  // To look at it makes a pipe or a socket non-blocking (libuv, uv_pipe_open): a write that finds no room fails with
  // EAGAIN then, and holds no thread.
  const { fd } = process.stdout;
  const writeTo = promisify(write);
  return {
    most: fstatSync(fd).isFile() ? fileAtOnce : pipeAtomic,
    endsTorn: false,
    write: async (bytes) => (await writeTo(fd, bytes)).bytesWritten,
    identity: 'stdout',
    close: async () => undefined,
  };
}

async function openFile(file: string): Promise<AuditOutput> {
  const { O_RDWR, O_APPEND, O_CREAT } = constants;
  // Read as well, to see how it ends.
  const handle = await openItself(file, O_RDWR | O_APPEND | O_CREAT);
  try {
    const stats = await handle.stat({ bigint: true });
    return {
      most: stats.isFile() ? fileAtOnce : pipeAtomic,
      endsTorn: stats.isFile() && (await endsTorn(handle, Number(stats.size))),
      write: async (bytes) => (await handle.write(bytes)).bytesWritten,
      identity: `${stats.dev}:${stats.ino}`,
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/**
 * Opens the file itself, never what a symbolic link at its place names: whoever may write to the folder could have the
 * gateway write to any file that it may write to. A link on the way to the folder is the operator's own.
 */
function openItself(file: string, flags: number): Promise<FileHandle> {
  // A named pipe must not wait for somebody who reads it.
  return open(file, flags | constants.O_NONBLOCK | constants.O_NOFOLLOW, 0o600);
}

async function endsTorn(handle: FileHandle, size: number): Promise<boolean> {
  if (size === 0) return false;
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
  return bytesRead === 1 && buffer[0] !== 0x0a;
}

function unusable(file: string, error: unknown): AuditOutputError {
  const { code = '', message } = error as NodeJS.ErrnoException;
  const words = wordings[code] ?? (code || message);
  return new AuditOutputError(`audit.output: ${file} can't be opened: ${words}`);
}

const wordings: Readonly<Record<string, string>> = {
  ENOENT: 'its folder is not there: make the folder, or mend the path (it starts at the folder of the config file)',
  ENOTDIR: 'a part of its path is a file and no folder: mend the path',
  EISDIR: 'it is a folder: name a file in it',
  ELOOP: 'it is a symbolic link, which may lead anywhere: name the file itself',
  ENXIO: 'it is a socket: name a regular file or a named pipe',
  EACCES: 'permission denied for the user that runs the gateway: let that user read and write it, and its folder',
  EROFS: 'its file system is read-only: name a file elsewhere',
};
