import { chmod, mkdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import { expect, test } from 'vitest';
import { cacheFolder, prepareFolder } from './folder.ts';

interface Machine {
  readonly platform: NodeJS.Platform;
  readonly env: Readonly<Record<string, string>>;
  readonly home: string;
}

const linux: Machine = { platform: 'linux', env: {}, home: '/home/ada' };
const windows: Machine = { platform: 'win32', env: {}, home: 'C:\\Users\\ada' };

test.each<[Partial<Machine>, string]>([
  [{}, '/home/ada/.cache/sallyport'],
  [{ env: { XDG_CACHE_HOME: '/var/cache/ada' } }, '/var/cache/ada/sallyport'],
  [{ env: { XDG_CACHE_HOME: 'relative' } }, '/home/ada/.cache/sallyport'],
  [{ env: { KUBECACHEDIR: '/tmp/kube', XDG_CACHE_HOME: '/x' } }, '/tmp/kube/sallyport'],
  [{ env: { KUBECACHEDIR: '' } }, '/home/ada/.cache/sallyport'],
  [{ platform: 'darwin', home: '/Users/ada' }, '/Users/ada/Library/Caches/sallyport'],
  [windows, 'C:\\Users\\ada\\AppData\\Local\\sallyport\\cache'],
  [{ ...windows, env: { LOCALAPPDATA: 'D:\\Local' } }, 'D:\\Local\\sallyport\\cache'],
  [{ ...windows, env: { KUBECACHEDIR: 'D:\\kube' } }, 'D:\\kube\\sallyport'],
])('on %j it is %s', (machine, folder) => {
  const { platform, env, home } = { ...linux, ...machine };
  expect(cacheFolder(platform, env, home)).toBe(folder);
});

test('the folder is made for its user alone', async () => {
  await using parent = await temporaryFolder('cache');
  const folder = join(parent.path, 'a/b');
  expect(prepareFolder(folder)).toBeUndefined();
  expect((await stat(folder)).mode & 0o777).toBe(0o700);
});

test('a folder that others can write, a link and a file are not used', async () => {
  await using parent = await temporaryFolder('cache');
  const [open, link, file] = ['open', 'link', 'file'].map((name) => join(parent.path, name)) as [
    string,
    string,
    string,
  ];
  await mkdir(open);
  await chmod(open, 0o770);
  await symlink(parent.path, link);
  await writeFile(file, '');
  expect(prepareFolder(open)).toMatchObject({
    problem: `${open} can be written by other users`,
    fix: `run: chmod 700 ${open}`,
  });
  expect(prepareFolder(link)?.problem).toMatch(/is not a folder/);
  expect(prepareFolder(file)?.problem).toMatch(/is not a folder/);
  expect(prepareFolder(join(file, 'x'))?.problem).toMatch(/ENOTDIR/);
  expect(prepareFolder('/proc/cache/sallyport')?.problem).toMatch(/ENOENT/);
});
