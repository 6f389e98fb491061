import { close, constants, fstat, fstatSync, open, read } from 'node:fs';
import { access } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { howToWrite } from '../../config/permission.ts';
import { SettingError } from '../../config/problems.ts';
import { denied } from '../../config/read-text.ts';
import type { AuditConfig } from '../../config/types.ts';

export interface AuditOutput {
  readonly fd: number;
  /**
   * Maximum number of bytes of one write. A pipe takes up to PIPE_BUF whole or not at all (POSIX), so that nothing of another
   * writer, such as the log where both are one, gets in between. Only a line that is longer itself may be split.
   */
  readonly maxWrite: number;
  /** Whether the process that wrote before was stopped within a line. */
  readonly endsTorn: boolean;
  /** The name of the file, which is the same for each of its descriptors. */
  readonly identity: string;
  /** Closes an output that was not given to a writer. */
  close(): void;
}

const pipeAtomic = 4096;
const maxFileWrite = 64 * 1024;

/** Opens the output of the trail. @throws Error with the reason and how to fix it */
export async function openOutput({ output }: AuditConfig): Promise<AuditOutput> {
  if (output === 'stdout') return standardOutput();
  const { O_RDWR, O_APPEND, O_CREAT } = constants;
  try {
    using opened = new DisposableStack();
    // It is opened to be read as well, to see how it ends.
    const fd = opened.adopt(
      await openItself(output.file, O_RDWR | O_APPEND | O_CREAT),
      closeQuietly,
    );
    const stats = await promisify(fstat)(fd, { bigint: true });
    const isFile = stats.isFile();
    const endsTorn = isFile && (await isTorn(fd, Number(stats.size)));
    opened.move();
    return {
      fd,
      maxWrite: isFile ? maxFileWrite : pipeAtomic,
      endsTorn,
      identity: `${stats.dev}:${stats.ino}`,
      close: () => closeQuietly(fd),
    };
  } catch (error) {
    throw await unusable(output.file, error);
  }
}

/** Checks that `openOutput` would succeed, and throws as it does, without leaving anything behind. */
export async function probeOutput({ output }: AuditConfig): Promise<void> {
  if (output === 'stdout') return;
  const { file } = output;
  try {
    // O_CREAT is left out: a command that another user runs must not make a file that the gateway may not write.
    await promisify(close)(await openItself(file, constants.O_RDWR));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw await unusable(file, error);
    await access(dirname(file), constants.W_OK | constants.X_OK).catch(async (inner: unknown) => {
      throw await unusable(file, inner);
    });
  }
}

function standardOutput(): AuditOutput {
  // Reading `process.stdout` makes a pipe or a socket non-blocking (libuv, uv_pipe_open): a write that finds no space
  // fails with EAGAIN then, and blocks no thread.
  const { fd } = process.stdout;
  const maxWrite = fstatSync(fd).isFile() ? maxFileWrite : pipeAtomic;
  return { fd, maxWrite, endsTorn: false, identity: 'stdout', close: () => undefined };
}

/**
 * Ignores that closing fails, as it does over NFS when the disk of the server is full (close(2)): nothing was written to
 * this descriptor. Without a callback Node throws the error where no one can catch it.
 */
function closeQuietly(fd: number): void {
  close(fd, () => undefined);
}

/**
 * Opens the file itself, never the target of a symbolic link: a user who may write to the folder could have the gateway
 * write to any file that it may write to. A link on the way to the folder is the operator's own.
 */
function openItself(file: string, flags: number): Promise<number> {
  // A named pipe must not wait for a reader.
  return promisify(open)(file, flags | constants.O_NONBLOCK | constants.O_NOFOLLOW, 0o600);
}

async function isTorn(fd: number, size: number): Promise<boolean> {
  if (size === 0) return false;
  const { buffer, bytesRead } = await promisify(read)(fd, Buffer.alloc(1), 0, 1, size - 1);
  return bytesRead === 1 && buffer[0] !== 0x0a;
}

/** Says why the file of a trail can't be used, and how to fix it. */
async function unusable(file: string, error: unknown): Promise<Error> {
  const { code = '', message } = error as NodeJS.ErrnoException;
  const [reason, fix] =
    code === 'EACCES'
      ? [denied, await howToWrite(file)]
      : (wordings[code] ?? ([code || message] as const));
  return new SettingError({
    path: ['audit', 'output'],
    message: `can't open ${file}: ${reason}`,
    fix,
  });
}

const wordings: Readonly<Record<string, readonly [why: string, fix?: string]>> = {
  ENOENT: [
    'its folder does not exist',
    'create the folder, or fix the path (relative paths start at the folder of the config file)',
  ],
  ENOTDIR: ['a part of its path is a file, not a folder', 'fix the path'],
  EISDIR: ['it is a folder', 'name a file in it'],
  ELOOP: ['it is a symbolic link, which can lead anywhere', 'name the file itself'],
  ENXIO: ['it is a socket', 'name a regular file or a named pipe'],
  EROFS: [
    'its file system is read-only',
    'name a file elsewhere: the systemd unit allows only /var/log/sallyport',
  ],
};
