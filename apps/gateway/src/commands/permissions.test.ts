import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { wholeDetail } from './finding.ts';
import { checkPermissions, listAccessors } from './permissions.ts';

describe('who besides the owner', () => {
  const owned = (mode: number, uid = 1000, gid = 50) => ({ mode, uid, gid });
  test.each([
    { name: 'no one', file: owned(0o600), readers: [], writers: [] },
    { name: 'everyone', file: owned(0o644, 1000, 1000), readers: ['o'], writers: [] },
    { name: 'everyone may write', file: owned(0o666, 1000, 1000), readers: ['o'], writers: ['o'] },
    {
      name: "a group of the owner's own number",
      file: owned(0o660, 1000, 1000),
      readers: [],
      writers: [],
    },
    { name: 'another group', file: owned(0o660), readers: ['g'], writers: ['g'] },
    { name: "root's own group", file: owned(0o660, 0, 0), readers: [], writers: [] },
    {
      name: 'a group to which root hands it',
      file: owned(0o440, 0, 65532),
      readers: [],
      writers: [],
    },
    {
      name: 'a group that may change what is root’s',
      file: owned(0o460, 0, 65532),
      readers: [],
      writers: ['g'],
    },
    { name: 'a group and everyone', file: owned(0o646), readers: ['g', 'o'], writers: ['o'] },
  ])('can read or write it: $name', ({ file, readers, writers }) => {
    expect([listAccessors('r', file), listAccessors('w', file)]).toEqual([readers, writers]);
  });
});

describe('check', () => {
  let folder: string;
  let key: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'permissions-'));
    key = join(folder, 'a key');
    await writeFile(key, '');
    await chmod(key, 0o600);
  });
  afterEach(() => rm(folder, { recursive: true }));

  const details = async (...files: { file: string; secret: boolean }[]) =>
    (await checkPermissions(files)).map((finding) => [
      finding.result,
      wholeDetail(finding).replaceAll(folder, ''),
    ]);
  const warning = (detail: string) => ['warning', detail];

  test('says nothing of what is private', async () => {
    expect(await details({ file: key, secret: true })).toEqual([]);
  });

  test('warns of a secret that others can read, with what to run', async () => {
    await chmod(key, 0o644);
    expect(await details({ file: key, secret: true })).toEqual([
      warning(
        "/a key: everyone on this machine can read the secret in it (mode 0644): run chmod o-r '/a key'",
      ),
    ]);
    expect(await details({ file: key, secret: false })).toEqual([]);
    // The same file twice, once as a secret.
    expect(await details({ file: key, secret: true }, { file: key, secret: false })).toHaveLength(
      1,
    );
  });

  test('says nothing of a certificate in the place of a key, which is not a secret', async () => {
    const certificate = '-----BEGIN CERTIFICATE-----\n';
    await writeFile(key, certificate);
    await chmod(key, 0o644);
    expect(await details({ file: key, secret: true })).toEqual([]);
    await writeFile(key, `${certificate}-----BEGIN PRIVATE KEY-----\n`);
    expect(await details({ file: key, secret: true })).toHaveLength(1);
  });

  test('warns of any file that others can change', async () => {
    await chmod(key, 0o646);
    expect(await details({ file: key, secret: false })).toEqual([
      warning("/a key: everyone on this machine can change it (mode 0646): run chmod o-w '/a key'"),
    ]);
    expect(await details({ file: key, secret: true })).toEqual([
      warning(
        "/a key: everyone on this machine can read the secret in it, everyone on this machine can change it (mode 0646): run chmod o-r,o-w '/a key'",
      ),
    ]);
  });

  test('warns of a folder in which others can replace the file, once, unless it is sticky', async () => {
    const files = ['a', 'b'].map((name) => ({ file: join(folder, 'open', name), secret: false }));
    await mkdir(join(folder, 'open'));
    for (const { file } of files) await writeFile(file, '', { mode: 0o600 });
    await chmod(join(folder, 'open'), 0o777);
    expect(await details(...files)).toEqual([
      warning(
        '/open: everyone on this machine can replace the files in it (mode 0777): run chmod o-w /open',
      ),
    ]);
    await chmod(join(folder, 'open'), 0o1777);
    expect(await details(...files)).toEqual([]);
  });

  test('looks at what a link leads to, as a mounted Secret has it', async () => {
    await mkdir(join(folder, '..data'));
    await writeFile(join(folder, '..data/key'), '');
    await chmod(join(folder, '..data/key'), 0o644);
    await symlink('..data/key', join(folder, 'key'));
    expect(await details({ file: join(folder, 'key'), secret: true })).toEqual([
      warning(
        '/..data/key: everyone on this machine can read the secret in it (mode 0644): run chmod o-r /..data/key',
      ),
    ]);
  });

  test('does not report a missing file, or a folder in its place: its reader does', async () => {
    expect(await details({ file: join(folder, 'missing'), secret: true })).toEqual([]);
    await mkdir(join(folder, 'tls'));
    await chmod(join(folder, 'tls'), 0o755);
    expect(await details({ file: join(folder, 'tls'), secret: true })).toEqual([]);
  });
});
