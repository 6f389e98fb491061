import { createHash } from 'node:crypto';
import { constants, lstat, open, stat } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';

/** How often files are looked at, in milliseconds. */
const interval = 2_000;

/**
 * A changed file must stay as it is for so long before it is told of, in milliseconds: an editor that writes in place
 * leaves half a list for a moment, which may well read as a whole one.
 */
const settleTime = 100;

/** The clock of file systems lags by up to a tick of the kernel, 10 ms at the most: in milliseconds. */
export const fileClockLag = 10;

/**
 * The size of the biggest file that is read by anything here, in bytes, far above any list of tokens. A bigger one can't be
 * used, so its content does not matter.
 */
export const largestFile: number = 256 * 1024 * 1024;

/** Read at once, in bytes: hashing them takes well under a millisecond, in which no review is answered. */
const chunkSize = 256 * 1024;

/** A file's content, told apart by its digest; `stamp` spares reading a file that nobody touched. */
interface Fingerprint {
  readonly stamp: string;
  readonly digest: string;
  /** When it was read, in wall clock milliseconds. */
  readonly readAt: number;
  readonly changedAt: number;
}

interface Watch {
  readonly files: ReadonlyMap<string, Fingerprint>;
  readonly onChange: () => Promise<void>;
}

export interface FileWatcher {
  /**
   * Calls `onChange` when the content of any of `files` has changed, or one came or went.
   *
   * @param since when the caller began to read them itself, wall clock milliseconds: a file touched later may hold
   *   what the caller did not see, and counts as changed
   * @returns ends the watch
   */
  watch(files: readonly string[], since: number, onChange: () => Promise<void>): Promise<() => void>;
  /** Looks at every file now, and waits for what that brings about. */
  scan(): Promise<void>;
  /** No look and no `onChange` begins after this. */
  close(): void;
}

/**
 * Looks at the content of files every 2 s. Not `fs.watch`: it goes deaf when a file is replaced by a rename, and a
 * mounted ConfigMap swaps a link in another folder altogether.
 *
 * @param settle waits until a changed file must have been written to its end
 */
export function createFileWatcher(settle: () => Promise<void> = () => setTimeout(settleTime)): FileWatcher {
  const watches = new Set<{ current: Watch }>();
  let scanning: Promise<void> | undefined;
  let closed = false;

  async function scanAll(): Promise<void> {
    for (const entry of [...watches]) {
      if (closed || !watches.has(entry)) continue;
      const { files, onChange } = entry.current;
      const next = await fingerprints(files);
      const changed = differ(files, next);
      if (changed) {
        await settle();
        // Still being written: the next look will tell.
        if (differ(next, await fingerprints(files))) continue;
      }
      entry.current = { files: next, onChange };
      if (changed && watches.has(entry)) await onChange();
    }
  }

  async function scan(): Promise<void> {
    // One after another: a look that began before a file was written must not answer for one that began after.
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
    async watch(files, since, onChange) {
      const known = new Map<string, Fingerprint>();
      for (const file of files) {
        const first = await fingerprint(file);
        known.set(file, first.changedAt >= since - fileClockLag ? { ...first, stamp: '', digest: '' } : first);
      }
      const entry = { current: { files: known, onChange } };
      watches.add(entry);
      return () => watches.delete(entry);
    },
    scan,
    close() {
      closed = true;
      clearInterval(timer);
      watches.clear();
    },
  };
}

async function fingerprints(files: ReadonlyMap<string, Fingerprint>): Promise<ReadonlyMap<string, Fingerprint>> {
  const found = new Map<string, Fingerprint>();
  for (const [file, known] of files) found.set(file, await fingerprint(file, known));
  return found;
}

function differ(one: ReadonlyMap<string, Fingerprint>, other: ReadonlyMap<string, Fingerprint>): boolean {
  return [...one].some(([file, { digest }]) => other.get(file)?.digest !== digest);
}

/** A file that can't be read has a fingerprint too: it tells why. */
async function fingerprint(file: string, known?: Fingerprint): Promise<Fingerprint> {
  const readAt = Date.now();
  try {
    const found = await stat(file, { bigint: true });
    // Reading a pipe would wait for a writer, and every other file with it.
    if (!found.isFile()) {
      // The link that leads to a device is younger than the device.
      const { ctimeMs } = await lstat(file);
      return { stamp: 'no file', digest: 'no file', readAt, changedAt: Math.max(ctimeMs, Number(found.ctimeMs)) };
    }
    const { dev, ino, size, mtimeNs, ctimeNs } = found;
    const stamp = [dev, ino, size, mtimeNs, ctimeNs].join(':');
    const changedAt = Number(ctimeNs / 1_000_000n);
    // Written twice within one tick of the file system's clock, a file keeps its stamp: only an old one is trusted.
    if (known !== undefined && known.stamp === stamp && known.readAt - changedAt > interval) return known;
    const digest = size > largestFile ? 'too big' : await digestOf(file);
    return { stamp, digest, readAt, changedAt };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    return { stamp: code, digest: code, readAt, changedAt: 0 };
  }
}

/** In pieces, so that no file fills the memory. */
async function digestOf(file: string): Promise<string> {
  // A pipe may have taken its place since: without O_NONBLOCK, opening one waits for somebody who writes into it.
  await using handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  const hash = createHash('sha256');
  const content = handle.createReadStream({ autoClose: false, end: largestFile, highWaterMark: chunkSize });
  for await (const chunk of content) hash.update(chunk);
  return hash.digest('base64');
}
