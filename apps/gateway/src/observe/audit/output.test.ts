import fs, { writeSync } from 'node:fs';
import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
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

const link = 'it is a symbolic link, which can lead anywhere: name the file itself';

test.each([
  { name: 'no/audit.log', expected: 'its folder does not exist: create the folder' },
  { name: 'folder', expected: 'it is a folder: name a file in it' },
  { name: 'file/audit.log', expected: 'a part of its path is a file, not a folder' },
  { name: 'link', expected: link },
  { name: 'dangling', expected: link },
  { name: 'socket', expected: 'it is a socket: name a regular file or a named pipe' },
])(
  'says why $name cannot be opened, and how to fix it, and writes to no file by way of it',
  async ({ name, expected }) => {
    await mkdir(join(folder, 'folder'));
    await writeFile(join(folder, 'file'), '');
    await symlink('file', join(folder, 'link'));
    await symlink('nothing', join(folder, 'dangling'));
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(folder, 'socket'), resolve));
    const config = { output: { file: join(folder, name) } };
    const message = `audit.output: can't open ${config.output.file}: ${expected}`;
    await expect(openOutput(config)).rejects.toThrow(message);
    await expect(probeOutput(config)).rejects.toThrow(message);
    server.close();
    expect(await readdir(folder)).not.toContain('nothing');
    expect(await readFile(join(folder, 'file'), 'utf8')).toBe('');
  },
);

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

test('a file that fails to close, as over NFS on a full disk, is refused by a probe and ends nothing', async () => {
  const config = { output: { file: join(folder, 'audit.log') } };
  const output = await openOutput(config);
  const { close } = fs;
  const ended: number[] = [];
  // Without a callback, Node throws where no one can catch it.
  const unheard = (error: Error | null) => {
    if (error) throw error;
  };
  const failing = (fd: number, done: typeof unheard = unheard) =>
    close(fd, () => {
      ended.push(fd);
      done(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' }));
    });
  fs.close = Object.assign(failing, { __promisify__: close.__promisify__ });
  syncBuiltinESMExports();
  try {
    output.close();
    await expect.poll(() => ended).toContain(output.fd);
    await expect(probeOutput(config)).rejects.toThrow(
      `audit.output: can't open ${config.output.file}: ENOSPC`,
    );
  } finally {
    fs.close = close;
    syncBuiltinESMExports();
  }
});
