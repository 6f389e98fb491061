import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';

/** How often files are looked at, in milliseconds. */
const interval = 2_000;

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
 */
export function createFileWatcher(): FileWatcher {
  const watches = new Set<{ current: Watch }>();
  let scanning: Promise<void> | undefined;
  let closed = false;

  async function scanAll(): Promise<void> {
    for (const entry of [...watches]) {
      if (closed || !watches.has(entry)) continue;
      const { files, onChange } = entry.current;
      const next = new Map<string, Fingerprint>();
      for (const [file, known] of files) next.set(file, await fingerprint(file, known));
      const changed = [...files].some(([file, known]) => next.get(file)?.digest !== known.digest);
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
        known.set(file, first.changedAt >= since ? { ...first, stamp: '', digest: '' } : first);
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

/** A file that can't be read has a fingerprint too: it tells why. */
async function fingerprint(file: string, known?: Fingerprint): Promise<Fingerprint> {
  const readAt = Date.now();
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
    const stamp = [dev, ino, size, mtimeNs, ctimeNs].join(':');
    const changedAt = Number(ctimeNs / 1_000_000n);
    // Written twice within one tick of the file system's clock, a file keeps its stamp: only an old one is trusted.
    if (known !== undefined && known.stamp === stamp && known.readAt - changedAt > interval) return known;
    const digest = createHash('sha256')
      .update(await readFile(file))
      .digest('base64');
    return { stamp, digest, readAt, changedAt };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    return { stamp: code, digest: code, readAt, changedAt: 0 };
  }
}
