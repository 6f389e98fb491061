import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openOutput, probeOutput } from './output.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sallyport-audit-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('makes a file for its owner alone, and adds to one that is there', async () => {
  const file = join(folder, 'audit.log');
  const output = await openOutput({ output: { file } });
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(output.endsTorn).toBe(false);
  expect(await output.write(Buffer.from('one\n'))).toBe(4);
  const again = await openOutput({ output: { file } });
  expect(again.identity).toBe(output.identity);
  await again.write(Buffer.from('two\nthr'));
  await again.close();
  await output.close();
  expect(await readFile(file, 'utf8')).toBe('one\ntwo\nthr');
  const torn = await openOutput({ output: { file } });
  expect(torn.endsTorn).toBe(true);
  await torn.close();
  await rename(file, `${file}.1`);
  const next = await openOutput({ output: { file } });
  expect(next.identity).not.toBe(output.identity);
  await next.close();
});

test.each([
  ['no/audit.log', 'its folder is not there: make the folder'],
  ['folder', 'it is a folder: name a file in it'],
  ['file/audit.log', 'a part of its path is a file and no folder'],
])('says of %s why it can not be opened, and what to do', async (name, expected) => {
  await mkdir(join(folder, 'folder'));
  await writeFile(join(folder, 'file'), '');
  const config = { output: { file: join(folder, name) } };
  const message = `audit.output: ${config.output.file} can't be opened: ${expected}`;
  await expect(openOutput(config)).rejects.toThrow(message);
  await expect(probeOutput(config)).rejects.toThrow(message);
});

test('a probe leaves nothing behind', async () => {
  await probeOutput({ output: { file: join(folder, 'audit.log') } });
  await probeOutput({ output: 'stdout' });
  expect(await readdir(folder)).toEqual([]);
});
