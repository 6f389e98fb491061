import { rmSync } from 'node:fs';
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { atProcessEnd } from './process-end.ts';

export interface TemporaryFolder extends AsyncDisposable {
  readonly path: string;
}

const recursive = { recursive: true, force: true } as const;

/** Deleted with the test process, when that ends before a test could let them go. */
const folders = new Set<string>();
atProcessEnd('folders', () => {
  for (const path of folders) {
    rmSync(path, recursive);
  }
});

/** A new folder, deleted with all that is in it when it is let go. Its path is short: sockets stand in it. */
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
