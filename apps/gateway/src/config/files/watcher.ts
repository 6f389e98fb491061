import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { constants, type FileHandle, lstat, open, stat } from 'node:fs/promises';
import { pause } from '../../base/deadlines.ts';
import { choosePieceSize, readBytes, withFix } from '../read-text.ts';

/** The time between two looks at the files, in milliseconds. */
const interval = 2_000;

/**
 * How long a changed file must stay unchanged before it is reported, in milliseconds: an editor that writes in place leaves half
 * a list for a moment, which may read as a whole one.
 */
const settleTime = 100;

/** The maximum lag of file system clocks, in milliseconds: one tick of the kernel, which is at most 10 ms. */
export const fileClockLag = 10;

/** The maximum size of a file that the gateway reads, in bytes: far above any list of tokens. */
export const maxFileSize = 256 * 1024 * 1024;

/** The number of bytes that are hashed in one step: it takes less than a millisecond, in which no review is answered. */
const chunkSize = 256 * 1024;

/** What is known of a file's content. With an unchanged `stamp` the file need not be read again. */
interface Fingerprint {
  readonly stamp: string;
  readonly digest: string;
  /** When the file was read, wall clock milliseconds. */
  readonly readAt: number;
  readonly changedAt: number;
}

type Fingerprints = ReadonlyMap<string, Fingerprint>;

interface Watch {
  files: Fingerprints;
  readonly onChange: () => Promise<void>;
}

export type FileWatcher = ReturnType<typeof createFileWatcher>;

/**
 * Looks at the content of files every 2 s. It does not use `fs.watch`, which reports nothing more of a file after a rename has
 * replaced it; and a mounted ConfigMap swaps a link in another folder.
 *
 * @param settle waits until a changed file has been written completely
 */
export function createFileWatcher(settle: () => Promise<void> = () => pause(settleTime)) {
  const watches = new Set<Watch>();
  let scanning: Promise<void> | undefined;
  let isClosed = false;

  async function scanAll(): Promise<void> {
    for (const watch of [...watches]) {
      if (isClosed || !watches.has(watch)) continue;
      const next = await readFingerprints(watch.files);
      const changed = differ(watch.files, next);
      if (changed) {
        await settle();
        // A file is still being written: the next look finds the change.
        if (differ(next, await readFingerprints(watch.files))) continue;
      }
      watch.files = next;
      if (changed && !isClosed && watches.has(watch)) await watch.onChange();
    }
  }

  /** Looks at every file now, and waits for what changes cause. */
  async function scan(): Promise<void> {
    // A look in progress may have begun before a file was written, so another one follows it.
    await scanning;
    scanning ??= scanAll().finally(() => {
      scanning = undefined;
    });
    await scanning;
  }

  const timer = setInterval(() => {
    if (scanning === undefined) void scan();
  }, interval).unref();

  return {
    /**
     * Calls `onChange` when the content of any of `files` has changed, or a file was created or removed.
     *
     * @param since when the caller began to read the files itself, wall clock milliseconds: a file that was touched later may
     *   have content that the caller did not see, and counts as changed
     * @returns a function that ends the watch
     */
    async watch(
      files: readonly string[],
      since: number,
      onChange: () => Promise<void>,
    ): Promise<() => void> {
      const fingerprints = new Map<string, Fingerprint>();
      for (const file of files) {
        const initial = await fingerprint(file);
        fingerprints.set(
          file,
          initial.changedAt >= since - fileClockLag
            ? { ...initial, stamp: '', digest: '' }
            : initial,
        );
      }
      const watch = { files: fingerprints, onChange };
      watches.add(watch);
      return () => watches.delete(watch);
    },
    scan,
    /** Ends all watches. No look and no `onChange` begins after this, even of files that a reload in progress still adds. */
    close(): void {
      isClosed = true;
      clearInterval(timer);
    },
  };
}

async function readFingerprints(files: Fingerprints): Promise<Fingerprints> {
  const fingerprints = new Map<string, Fingerprint>();
  for (const [file, last] of files) fingerprints.set(file, await fingerprint(file, last));
  return fingerprints;
}

function differ(last: Fingerprints, current: Fingerprints): boolean {
  return [...last].some(([file, { digest }]) => current.get(file)?.digest !== digest);
}

/** Reads a file's fingerprint. A file that can't be read has the reason as its fingerprint. */
async function fingerprint(file: string, last?: Fingerprint): Promise<Fingerprint> {
  const readAt = Date.now();
  try {
    const stats = await stat(file, { bigint: true });
    // Reading a pipe would wait for a writer, and every other file with it.
    if (!stats.isFile()) {
      // The link that leads to a device is younger than the device.
      const { ctimeMs } = await lstat(file);
      return {
        stamp: 'no file',
        digest: 'no file',
        readAt,
        changedAt: Math.max(ctimeMs, Number(stats.ctimeMs)),
      };
    }
    // A file that is written twice within one tick of the file system's clock keeps its stamp, so only an old stamp is trusted.
    const { stamp, changedAt } = makeStamp(stats);
    if (last !== undefined && last.stamp === stamp && last.readAt - changedAt > interval)
      return last;
    return { readAt, ...(await readFingerprint(file)) };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    // A process without a file descriptor left learns nothing about the file, so this is not a change of it.
    if (last !== undefined && ['EMFILE', 'ENFILE'].includes(code)) return last;
    return { stamp: code, digest: code, readAt, changedAt: 0 };
  }
}

function makeStamp({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats) {
  return {
    stamp: [dev, ino, size, mtimeNs, ctimeNs].join(':'),
    changedAt: Number(ctimeNs / 1_000_000n),
  };
}

/** Reads in pieces, so that no file fills the memory. */
async function readFingerprint(
  file: string,
): Promise<Pick<Fingerprint, 'stamp' | 'digest' | 'changedAt'>> {
  // A pipe or a device may have replaced it since: opening a pipe waits for a writer without O_NONBLOCK, and a device never ends.
  await using handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  const stats = await handle.stat();
  const readDigest = () => (stats.size > maxFileSize ? 'too big' : hashContent(handle, stats.size));
  const digest = stats.isFile() ? await readDigest() : 'no file';
  // The stamp is taken after reading. Before, it could be that of older content, and the new content would count as known.
  return { ...makeStamp(await handle.stat({ bigint: true })), digest };
}

async function hashContent(handle: FileHandle, size: number): Promise<string> {
  const hash = createHash('sha256');
  const highWaterMark = choosePieceSize(size, chunkSize);
  const content = handle.createReadStream({ autoClose: false, end: maxFileSize, highWaterMark });
  for await (const chunk of content) hash.update(chunk);
  return hash.digest('base64');
}

/** A file that a plugin reads through `watchFile`. */
export interface WatchedFile {
  /** The absolute path. */
  readonly file: string;
  /** Whether its plugin says that it contains a secret. */
  readonly secret?: boolean;
  /**
   * Reads the file again, and gives the content to the plugin. If that fails, the plugin keeps the content that it had.
   *
   * @throws Error with the file, the problem and the fix if it can't be read; else what the plugin threw
   */
  reload(): Promise<void>;
}

/**
 * Reads `file` for the first time. A failure makes the plugin's `create` fail.
 *
 * @param limit the maximum size in bytes: a bigger file is refused without being read
 */
export async function loadWatchedFile(
  file: string,
  load: (content: Buffer) => void | Promise<void>,
  limit = maxFileSize,
): Promise<WatchedFile> {
  const reload = async () => {
    const content = await readBytes(file, Math.min(limit, maxFileSize)).catch((error: unknown) => {
      throw withFix(error);
    });
    await load(content);
  };
  await reload();
  return { file, reload };
}
