import { readFile } from 'node:fs/promises';

/** A file that a plugin reads through `watchFile`. */
export interface WatchedFile {
  /** Absolute. */
  readonly file: string;
  /** When it was read first, in wall clock milliseconds. */
  readonly loadedAt: number;
  /** Reads it again and has the plugin take it in. Throws when that fails; the plugin then keeps what it had. */
  reload(): Promise<void>;
}

/** Reads `file` for the first time: what fails here fails the plugin's `create`. */
export async function loadWatchedFile(
  file: string,
  load: (content: Buffer) => void | Promise<void>,
): Promise<WatchedFile> {
  const reload = async () => load(await readFile(file));
  const loadedAt = Date.now();
  await reload();
  return { file, loadedAt, reload };
}
