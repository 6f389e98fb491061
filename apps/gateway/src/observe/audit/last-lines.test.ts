import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { auditJson } from './entry.ts';
import { findLastLines } from './last-lines.ts';

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sallyport-trail-'));
  file = join(folder, 'audit.log');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const line = (username: string, sequence: number, more = '') =>
  `${auditJson({ sequence, username, more })}\n`;

function find(username = 'jane', limit?: number, count = 3) {
  const text = auditJson(username).slice(1, -1);
  const search = {
    text,
    matches: (one: { username?: unknown }) => one.username === username,
    count,
  };
  return findLastLines({ output: { file } }, search, limit);
}

const sequences = async (...how: Parameters<typeof find>) => {
  const { lines, isPartial } = await find(...how);
  return [lines.map(({ sequence }) => sequence), isPartial];
};

test('finds the last lines, the newest first, and skips those that only contain the text or were cut off', async () => {
  const text = [
    line('jane', 1),
    line('jane', 2),
    line('janet', 3),
    line('jane', 4),
    '{"sequence":5,"username":"jane',
    '\n',
    line('jane', 6),
    line('bob', 7),
    '{"sequence":8,"username":"jane"',
  ];
  await writeFile(file, text.join(''));
  expect(await sequences()).toEqual([[6, 4, 2], false]);
  expect(await sequences('bob')).toEqual([[7], false]);
  expect(await sequences('eve')).toEqual([[], false]);
});

test('finds lines of any length, wherever a part that is read begins', async () => {
  // A part is 1 MiB.
  const long = 'x'.repeat(700_000);
  const text = [
    line('jane', 1),
    line('bob', 2, long),
    line('jane', 3, long.repeat(3)),
    line('bob', 4, long),
  ].join('');
  await writeFile(file, text + line('jane', 5, long));
  expect(await sequences('jane')).toEqual([[5, 3, 1], false]);
  expect(await sequences('bob')).toEqual([[4, 2], false]);
});

test('goes on in the file before, once the trail was rotated', async () => {
  await writeFile(file, line('jane', 4));
  await writeFile(`${file}.1`, line('jane', 1) + line('jane', 2) + line('jane', 3));
  expect(await sequences()).toEqual([[4, 3, 2], false]);
  await rm(file);
  await expect(find()).rejects.toThrow(
    `audit.output: can't read ${file}: there is no such file here: run this where the gateway runs`,
  );
});

test('reads no more than the limit, of both files together, and says so', async () => {
  const text = line('jane', 1) + line('bob', 2) + line('jane', 3);
  await writeFile(file, text);
  expect(await sequences('jane', text.length)).toEqual([[3, 1], false]);
  expect(await sequences('jane', text.length - 1)).toEqual([[3], true]);
  await writeFile(`${file}.1`, text);
  expect(await sequences('jane', text.length)).toEqual([[3, 1], true]);
  expect(await sequences('jane', 2 * text.length)).toEqual([[3, 1, 3], false]);
});

test('finds a name as the trail escapes it', async () => {
  const name = 'j\u202eane "x" é';
  await writeFile(file, line(name, 1));
  expect(await sequences(name)).toEqual([[1], false]);
});

test('says why a trail cannot be read', async () => {
  await expect(
    findLastLines({ output: 'stdout' }, { text: '', matches: () => true, count: 1 }),
  ).rejects.toThrow('audit.output is stdout: look where the standard output is stored');
  file = folder;
  await expect(find()).rejects.toThrow(
    `audit.output: can't read ${folder}: it is not a regular file`,
  );
  file = join(folder, 'audit.log');
  await writeFile(file, '');
  await chmod(file, 0);
  // Root may read everything.
  if (process.getuid?.() === 0) return;
  await expect(find()).rejects.toThrow(
    'permission denied. Run this as the user that runs the gateway',
  );
});
