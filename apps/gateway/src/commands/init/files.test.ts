import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createFiles, exists, type NewFile, replaceFiles } from './files.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sallyport-init-'));
});
afterEach(() => rm(folder, { recursive: true }));

const file = (name: string, content: string, isSecret = false): NewFile => ({
  path: join(folder, name),
  content,
  isSecret,
});
const read = (name: string) => readFile(join(folder, name), 'utf8');
const modeOf = async (name: string) => ((await stat(join(folder, name))).mode & 0o777).toString(8);
const tree = async () => (await readdir(folder, { recursive: true })).sort();

test('a dangling link exists', async () => {
  await symlink('nowhere', join(folder, 'link'));
  const paths = ['link', 'other'].map((name) => join(folder, name));
  expect(await Promise.all(paths.map(exists))).toEqual([true, false]);
});

describe('new files', () => {
  test('secrets are for the owner alone', async () => {
    await createFiles([file('a/b/key', 'secret', true), file('a/crt', 'public')]);
    expect([await modeOf('a/b/key'), await modeOf('a/crt')]).toEqual(['600', '644']);
    expect(await read('a/b/key')).toBe('secret');
  });

  test('when one cannot be written, those before it and their folders are removed again', async () => {
    await writeFile(join(folder, 'there'), 'of another');
    const files = [file('a/b/key', 'secret', true), file('a/crt', 'public'), file('there', 'mine')];
    await expect(createFiles(files)).rejects.toThrow(/can't write .*there: it exists already/);
    expect(await tree()).toEqual(['there']);
    expect(await read('there')).toBe('of another');
  });

  test('a part of the path that is a file is named', async () => {
    await writeFile(join(folder, 'there'), '');
    await expect(createFiles([file('there/x/key', '')])).rejects.toThrow(
      /there\/x: a part of the path is a file/,
    );
  });
});

describe('replaced files', () => {
  beforeEach(async () => {
    await createFiles([file('key', 'old key', true), file('crt', 'old crt')]);
  });

  test('keep the mode and the owner of the old ones, and leave nothing else behind', async () => {
    await chmod(join(folder, 'key'), 0o640);
    await writeFile(join(folder, 'key.new'), 'of an interrupted run');
    await writeFile(join(folder, 'key.old'), 'of an interrupted run');
    const { ino } = await stat(join(folder, 'key'));
    await replaceFiles([
      file('key', 'new key', true),
      file('crt', 'new crt'),
      file('further', 'created'),
    ]);
    expect([await read('key'), await read('crt'), await read('further')]).toEqual([
      'new key',
      'new crt',
      'created',
    ]);
    expect(await modeOf('key')).toBe('640');
    // A reader who has the old one open reads it to its end.
    expect((await stat(join(folder, 'key'))).ino).not.toBe(ino);
    expect(await tree()).toEqual(['crt', 'further', 'key']);
  });

  test('are the old ones again when one of them cannot be replaced', async () => {
    // A folder is in its place: it is prepared, and the rename fails.
    await mkdir(join(folder, 'blocked', 'inside'), { recursive: true });
    const files = [
      file('key', 'new key', true),
      file('further', 'created'),
      file('blocked', 'new'),
    ];
    await expect(replaceFiles(files)).rejects.toThrow(/can't write .*blocked/);
    expect([await read('key'), await read('crt')]).toEqual(['old key', 'old crt']);
    expect(await modeOf('key')).toBe('600');
    expect(await tree()).toEqual(['blocked', 'blocked/inside', 'crt', 'key']);
  });

  test('are untouched when a new one cannot be written', async () => {
    await mkdir(join(folder, 'crt.new'));
    await expect(
      replaceFiles([file('key', 'new key', true), file('crt', 'new crt')]),
    ).rejects.toThrow(/crt\.new/);
    expect([await read('key'), await read('crt')]).toEqual(['old key', 'old crt']);
  });
});
