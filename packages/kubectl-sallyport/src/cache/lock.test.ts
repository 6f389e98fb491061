import { spawnSync } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { expect, test } from 'vitest';
import { acquireLock } from './lock.ts';

const options = { renewInterval: 10, pollInterval: 5, maxPolls: 40 };
/** The owner is on a machine whose processes can't be seen. */
const foreign = JSON.stringify({ pid: 1, host: 'elsewhere.example.com', id: 'x' });

test('one process at a time has the lock, and those that wait know that they did', async () => {
  await using folder = await temporaryFolder('lock');
  const file = join(folder.path, 'x.lock');
  let inside = 0;
  let max = 0;
  let waiting = 0;
  const all = Array.from({ length: 8 }, async () => {
    using lock = await acquireLock(file, () => waiting++, options);
    inside++;
    max = Math.max(max, inside);
    await waitFor(() => waiting === 7, 'the others to wait');
    inside--;
    return lock.waited;
  });
  const waited = await Promise.all(all);
  expect([max, waiting, waited.filter((one) => !one).length]).toEqual([1, 7, 1]);
  expect(await readdir(folder.path)).toEqual([]);
});

test('an owner that lives keeps its lock for longer than it takes to be stale', async () => {
  await using folder = await temporaryFolder('lock');
  const file = join(folder.path, 'x.lock');
  const owner = await acquireLock(file, undefined, options);
  let polls = 0;
  const counted = {
    ...options,
    get pollInterval() {
      polls++;
      return options.pollInterval;
    },
  };
  const events: string[] = [];
  const other = acquireLock(file, undefined, counted).then((lock) => {
    events.push('taken');
    return lock;
  });
  await waitFor(
    () => events.length > 0 || polls > 3 * options.maxPolls,
    'three times as many looks',
  );
  events.push('released');
  owner[Symbol.dispose]();
  using lock = await other;
  expect([lock.waited, events]).toEqual([true, ['released', 'taken']]);
});

test('the lock of a process of this machine that has ended is taken immediately', async () => {
  await using folder = await temporaryFolder('lock');
  const file = join(folder.path, 'x.lock');
  const { pid } = spawnSync('true');
  await writeFile(file, JSON.stringify({ pid, host: hostname(), id: 'x' }));
  using lock = await acquireLock(file, () => expect.unreachable('it does not wait'));
  expect(lock.waited).toBe(false);
});

test.each([foreign, '', 'no JSON', '[]'])(
  'a lock with %j is taken when nothing happens to it',
  async (content) => {
    await using folder = await temporaryFolder('lock');
    const file = join(folder.path, 'x.lock');
    await writeFile(file, content);
    let waits = 0;
    using lock = await acquireLock(file, () => waits++, options);
    expect([lock.waited, waits]).toEqual([false, 1]);
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ pid: process.pid });
  },
);

test('a stale lock is taken by one of many', async () => {
  await using folder = await temporaryFolder('lock');
  const file = join(folder.path, 'x.lock');
  await writeFile(file, foreign);
  let inside = 0;
  let max = 0;
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      using _lock = await acquireLock(file, undefined, options);
      inside++;
      max = Math.max(max, inside);
      await new Promise(setImmediate);
      inside--;
    }),
  );
  expect(max).toBe(1);
  expect(await readdir(folder.path)).toEqual([]);
});

test('an owner whose lock was taken over does not remove the lock of the other', async () => {
  await using folder = await temporaryFolder('lock');
  const file = join(folder.path, 'x.lock');
  const slept = await acquireLock(file, undefined, options);
  await writeFile(file, foreign);
  slept[Symbol.dispose]();
  expect(await readFile(file, 'utf8')).toBe(foreign);
});

test('a folder that is missing is an error', async () => {
  await expect(acquireLock('/nonexistent/x.lock')).rejects.toThrow(/ENOENT/);
});
