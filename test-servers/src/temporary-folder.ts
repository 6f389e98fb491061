import { rmSync } from 'node:fs';
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { atProcessEnd } from './process-end.ts';

export interface TemporaryFolder extends AsyncDisposable {
  readonly path: string;
}

const recursive = { recursive: true, force: true } as const;

/** Folders that exist now. They are deleted when the test process ends before their test. */
const folders = new Set<string>();
atProcessEnd('folders', () => {
  for (const path of folders) rmSync(path, recursive);
});

/** A new folder. Disposing it deletes it with its content. Its path is short enough for sockets. */
export async function temporaryFolder(purpose: string): Promise<TemporaryFolder> {
  const path = await realpath(await mkdtemp(join(tmpdir(), `sallyport-${purpose}-`)));
  folders.add(path);
  return {
    path,
    async [Symbol.asyncDispose]() {
      await rm(path, recursive);
      folders.delete(path);
    },
  };
}
