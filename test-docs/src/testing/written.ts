import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { rootFolder } from '@sallyport/test/pnpm';
import { expect } from 'vitest';

/** Compares what a file has with what it should have. With WRITE=1 it writes the file instead. */
export async function expectWritten(path: string, before: string, after: string): Promise<void> {
  if (process.env.WRITE !== '1')
    expect(before, `${path} is out of date; to write it: WRITE=1`).toBe(after);
  else if (after !== before) await writeFile(join(rootFolder, path), after);
}
