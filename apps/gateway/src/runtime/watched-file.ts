import { readBytes, UnusableFileError } from '../config/read-text.ts';

/** In bytes. Far above any list of tokens: a bigger file is the wrong file. */
const fileLimit = 256 * 1024 * 1024;

/** A file that a plugin reads through `watchFile`. */
export interface WatchedFile {
  /** Absolute. */
  readonly file: string;
  /** Its plugin says that it holds a secret. */
  readonly secret?: boolean;
  /**
   * Reads it again and has the plugin take it in. The plugin keeps what it had when that fails.
   *
   * @throws Error with the file, what is wrong and the mend when it can't be read; else what the plugin threw
   */
  reload(): Promise<void>;
}

/** Reads `file` for the first time: what fails here fails the plugin's `create`. */
export async function loadWatchedFile(
  file: string,
  load: (content: Buffer) => void | Promise<void>,
): Promise<WatchedFile> {
  const reload = async () => load(await read(file));
  await reload();
  return { file, reload };
}

async function read(file: string): Promise<Buffer> {
  try {
    return await readBytes(file, fileLimit);
  } catch (error) {
    if (!(error instanceof UnusableFileError) || error.mend === undefined) throw error;
    throw new Error(`${error.message}: ${error.mend}`, { cause: error });
  }
}
