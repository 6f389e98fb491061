import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
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

test.each([
  ['a symbolic link', 'link', 'it is a symbolic link, which may lead anywhere: name the file itself'],
  ['a symbolic link to nothing', 'dangling', 'it is a symbolic link, which may lead anywhere: name the file itself'],
  ['a socket', 'socket', 'it is a socket: name a regular file or a named pipe'],
])('writes to no file by way of %s', async (_what, name, expected) => {
  await writeFile(join(folder, 'target'), '');
  await symlink('target', join(folder, 'link'));
  await symlink('nothing', join(folder, 'dangling'));
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(join(folder, 'socket'), resolve));
  const config = { output: { file: join(folder, name) } };
  const message = `audit.output: ${config.output.file} can't be opened: ${expected}`;
  await expect(openOutput(config)).rejects.toThrow(message);
  await expect(probeOutput(config)).rejects.toThrow(message);
  server.close();
  expect(await readdir(folder)).not.toContain('nothing');
});

test('goes through a link on the way to the folder', async () => {
  await mkdir(join(folder, 'real'));
  await symlink('real', join(folder, 'folder'));
  const output = await openOutput({ output: { file: join(folder, 'folder/audit.log') } });
  await output.close();
  expect(await readdir(join(folder, 'real'))).toEqual(['audit.log']);
});

test('a probe leaves nothing behind', async () => {
  await probeOutput({ output: { file: join(folder, 'audit.log') } });
  await probeOutput({ output: 'stdout' });
  expect(await readdir(folder)).toEqual([]);
});
