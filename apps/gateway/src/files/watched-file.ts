import { readBytes, UnusableFileError } from '../config/read-text.ts';
import { largestFile } from './watcher.ts';

/** A file that a plugin reads through `watchFile`. */
export interface WatchedFile {
  /** Absolute. */
  readonly file: string;
  /** Its plugin says that it holds a secret. */
  readonly secret?: boolean;
  /**
   * Reads it again and has the plugin take it in. The plugin keeps what it had when that fails.
   *
   * @throws Error with the file, what is wrong and the fix when it can't be read; else what the plugin threw
   */
  reload(): Promise<void>;
}

/**
 * Reads `file` for the first time: what fails here fails the plugin's `create`.
 *
 * @param limit in bytes: a bigger file is refused without being read
 */
export async function loadWatchedFile(
  file: string,
  load: (content: Buffer) => void | Promise<void>,
  limit: number = largestFile,
): Promise<WatchedFile> {
  const reload = async () => load(await read(file, Math.min(limit, largestFile)));
  await reload();
  return { file, reload };
}

async function read(file: string, limit: number): Promise<Buffer> {
  try {
    return await readBytes(file, limit);
  } catch (error) {
    if (!(error instanceof UnusableFileError) || error.fix === undefined) throw error;
    throw new Error(`${error.message}: ${error.fix}`, { cause: error });
  }
}
