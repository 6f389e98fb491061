import { writeSync } from 'node:fs';
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

test('creates a file for its owner alone, and appends to an existing one', async () => {
  const file = join(folder, 'audit.log');
  const output = await openOutput({ output: { file } });
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(output.endsTorn).toBe(false);
  writeSync(output.fd, 'one\n');
  const again = await openOutput({ output: { file } });
  expect(again.identity).toBe(output.identity);
  writeSync(again.fd, 'two\nthr');
  again.close();
  output.close();
  expect(await readFile(file, 'utf8')).toBe('one\ntwo\nthr');
  const torn = await openOutput({ output: { file } });
  expect(torn.endsTorn).toBe(true);
  torn.close();
  await rename(file, `${file}.1`);
  const next = await openOutput({ output: { file } });
  expect(next.identity).not.toBe(output.identity);
  next.close();
});

test.each([
  ['no/audit.log', 'its folder does not exist. Create the folder'],
  ['folder', 'it is a folder. Name a file in it'],
  ['file/audit.log', 'a part of its path is a file, not a folder'],
])('says why %s cannot be opened, and how to fix it', async (name, expected) => {
  await mkdir(join(folder, 'folder'));
  await writeFile(join(folder, 'file'), '');
  const config = { output: { file: join(folder, name) } };
  const message = `audit.output: cannot open ${config.output.file}: ${expected}`;
  await expect(openOutput(config)).rejects.toThrow(message);
  await expect(probeOutput(config)).rejects.toThrow(message);
});

test.each([
  ['a symbolic link', 'link', 'it is a symbolic link, which may lead anywhere. Name the file itself'],
  ['a symbolic link to nothing', 'dangling', 'it is a symbolic link, which may lead anywhere. Name the file itself'],
  ['a socket', 'socket', 'it is a socket. Name a regular file or a named pipe'],
])('writes to no file by way of %s', async (_what, name, expected) => {
  await writeFile(join(folder, 'target'), '');
  await symlink('target', join(folder, 'link'));
  await symlink('nothing', join(folder, 'dangling'));
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(join(folder, 'socket'), resolve));
  const config = { output: { file: join(folder, name) } };
  const message = `audit.output: cannot open ${config.output.file}: ${expected}`;
  await expect(openOutput(config)).rejects.toThrow(message);
  await expect(probeOutput(config)).rejects.toThrow(message);
  server.close();
  expect(await readdir(folder)).not.toContain('nothing');
});

test('goes through a link on the way to the folder', async () => {
  await mkdir(join(folder, 'real'));
  await symlink('real', join(folder, 'folder'));
  const output = await openOutput({ output: { file: join(folder, 'folder/audit.log') } });
  output.close();
  expect(await readdir(join(folder, 'real'))).toEqual(['audit.log']);
});

test('a probe leaves nothing behind', async () => {
  await probeOutput({ output: { file: join(folder, 'audit.log') } });
  await probeOutput({ output: 'stdout' });
  expect(await readdir(folder)).toEqual([]);
});
