import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { loadWatchedFile } from './watched-file.ts';

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'watched-file-'));
  onTestFinished(() => rm(path, { recursive: true }));
  return path;
}

const ignore = () => {};

describe('a file that a plugin reads', () => {
  test('comes to it byte for byte, and anew at each reload', async () => {
    const file = join(await folder(), 'file');
    const [first, second] = [randomBytes(3_000_000), randomBytes(10)];
    const loaded: Buffer[] = [];
    await writeFile(file, first);
    const watched = await loadWatchedFile(file, (content) => void loaded.push(content));
    await writeFile(file, second);
    await watched.reload();
    expect(loaded.map((content) => content.toString('base64'))).toEqual(
      [first, second].map((content) => content.toString('base64')),
    );
    expect(watched.file).toBe(file);
  });

  test('may be empty', async () => {
    const file = join(await folder(), 'file');
    await writeFile(file, '');
    let length: number | undefined;
    await loadWatchedFile(file, (content) => {
      length = content.length;
    });
    expect(length).toBe(0);
  });

  test('that the plugin refuses fails with what the plugin said', async () => {
    const file = join(await folder(), 'file');
    await writeFile(file, '');
    const refusal = new Error('line 1: no');
    await expect(loadWatchedFile(file, () => Promise.reject(refusal))).rejects.toBe(refusal);
  });
});

describe('a file that can’t be read is named, with what is wrong and the fix', () => {
  test('none there', async () => {
    const file = join(await folder(), 'tokens.yaml');
    await expect(loadWatchedFile(file, ignore)).rejects.toThrow(
      `${file} can't be read: there is no such file: create it, or fix the path (relative paths start at the folder of the config file)`,
    );
  });

  test('gone at a reload', async () => {
    const file = join(await folder(), 'tokens.yaml');
    await writeFile(file, '');
    const watched = await loadWatchedFile(file, ignore);
    await rm(file);
    await expect(watched.reload()).rejects.toThrow('there is no such file: create it');
  });

  test('below a file', async () => {
    const file = join(await folder(), 'tokens.yaml');
    await writeFile(file, '');
    await expect(loadWatchedFile(join(file, 'inner'), ignore)).rejects.toThrow(
      'a part of its path is a file and no folder: fix the path',
    );
  });

  test('a folder', async () => {
    const file = join(await folder(), 'tokens');
    await mkdir(file);
    await expect(loadWatchedFile(file, ignore)).rejects.toThrow(`${file} is a folder: name a file in it`);
  });

  test('a pipe that no one writes into', async () => {
    const file = join(await folder(), 'pipe');
    execFileSync('mkfifo', [file]);
    await expect(loadWatchedFile(file, ignore)).rejects.toThrow(`${file} is not a regular file: name one`);
  });

  test('one over the limit of the plugin, which can be no more than 256 MiB', async () => {
    const file = join(await folder(), 'big');
    await writeFile(file, Buffer.alloc(2048));
    await loadWatchedFile(file, ignore, 2048);
    await expect(loadWatchedFile(file, ignore, 1024)).rejects.toThrow(`${file} is bigger than 1 KiB`);
    await truncate(file, 256 * 1024 * 1024 + 1);
    await expect(loadWatchedFile(file, ignore, Number.MAX_SAFE_INTEGER)).rejects.toThrow('is bigger than 256 MiB');
  });

  test('one over 256 MiB', async () => {
    const file = join(await folder(), 'big');
    await writeFile(file, '');
    await truncate(file, 256 * 1024 * 1024 + 1);
    await expect(loadWatchedFile(file, ignore)).rejects.toThrow(
      `${file} is bigger than 256 MiB: is it the right file?`,
    );
  });
});
