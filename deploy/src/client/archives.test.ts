import { utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import { strFromU8, unzipSync } from 'fflate';
import { expect, test } from 'vitest';
import { zipFolder } from './archives.ts';

test('a zip has the same bytes whenever its files were written, and in each time zone', async () => {
  await using folder = await temporaryFolder('zip');
  const file = join(folder.path, 'LICENSE');
  await writeFile(file, 'a license');
  const zip = await zipFolder(folder.path, 6);
  await utimes(file, 1e9, 1e9);
  const zone = process.env.TZ;
  process.env.TZ = 'Asia/Tokyo';
  try {
    expect(await zipFolder(folder.path, 6)).toEqual(zip);
  } finally {
    if (zone === undefined) delete process.env.TZ;
    else process.env.TZ = zone;
  }
  expect(Object.entries(unzipSync(zip)).map(([name, bytes]) => [name, strFromU8(bytes)])).toEqual([
    ['LICENSE', 'a license'],
  ]);
});
