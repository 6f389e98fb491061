import { rmSync } from 'node:fs';
import { chmod, chown, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  noteUse,
  parseSession,
  readSession,
  type SavedSession,
  writeSession,
} from './session-file.ts';

const target = { url: 'https://login.example.com', cluster: 'prod' };
const session: SavedSession = {
  ...target,
  username: 'ada',
  user: 'corp:ada',
  token: 'sp_token',
  expiresAt: Date.UTC(2030, 0),
};

/** Reads, and collects warnings. */
function read(file: string, of = target) {
  const warnings: string[] = [];
  return { found: readSession(file, of, (why) => warnings.push(why)), warnings };
}

test('what is written is read again, for this user alone, and no other file stays', async () => {
  await using folder = await temporaryFolder('session');
  const file = join(folder.path, 'x.json');
  writeSession(file, session);
  writeSession(file, { ...session, token: 'sp_other' });
  expect(read(file)).toMatchObject({
    found: { session: { ...session, token: 'sp_other' } },
    warnings: [],
  });
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(await readdir(folder.path)).toEqual(['x.json']);
  noteUse(file, 1_234_567_000);
  expect(read(file).found?.usedAt).toBe(1_234_567_000);
  rmSync(file);
  expect(read(file)).toEqual({ found: undefined, warnings: [] });
  // It does not come back.
  noteUse(file, 1_234_567_000);
  expect(await readdir(folder.path)).toEqual([]);
});

test('a write that fails leaves nothing behind', async () => {
  await using folder = await temporaryFolder('session');
  const file = join(folder.path, 'x.json');
  await mkdir(join(file, 'in the way'), { recursive: true });
  expect(() => writeSession(file, session)).toThrow();
  expect(await readdir(folder.path)).toEqual(['x.json']);
});

describe('a file that is not used, with a warning', () => {
  const text = JSON.stringify({ version: 1, ...session });

  test.each<{ what: string; make: (file: string) => Promise<unknown>; why: RegExp }>([
    { what: 'is empty', make: (file) => writeFile(file, '', { mode: 0o600 }), why: /is damaged/ },
    {
      what: 'ends early',
      make: (file) => writeFile(file, text.slice(0, -5), { mode: 0o600 }),
      why: /is damaged/,
    },
    {
      what: 'is of another version',
      make: (file) => writeFile(file, '{"version":2}', { mode: 0o600 }),
      why: /is damaged/,
    },
    {
      what: 'is of another cluster',
      make: (file) => writeFile(file, text.replace('prod', 'test'), { mode: 0o600 }),
      why: /is damaged/,
    },
    {
      what: 'is readable by others',
      make: (file) => writeFile(file, text).then(() => chmod(file, 0o644)),
      why: /by other users/,
    },
    {
      what: 'is too large',
      make: (file) => writeFile(file, text + ' '.repeat(70_000), { mode: 0o600 }),
      why: /too large/,
    },
    { what: 'is a folder', make: (file) => mkdir(file), why: /is not a file/ },
    {
      what: 'is a link',
      make: (file) => symlink('/etc/hostname', file),
      why: /can't read .*ELOOP/,
    },
  ])('$what', async ({ make, why }) => {
    await using folder = await temporaryFolder('session');
    const file = join(folder.path, 'x.json');
    await make(file);
    expect(read(file)).toEqual({ found: undefined, warnings: [expect.stringMatching(why)] });
  });

  test.runIf(process.getuid?.() === 0)('belongs to another user', async () => {
    await using folder = await temporaryFolder('session');
    const file = join(folder.path, 'x.json');
    writeSession(file, session);
    await chown(file, 65_534, 65_534);
    expect(read(file)).toEqual({
      found: undefined,
      warnings: [expect.stringMatching(/belongs to another user/)],
    });
  });
});

test('no text makes a session that is not one', () => {
  const value = fc.oneof(fc.string(), fc.double(), fc.constant(null), fc.constant(undefined));
  const record = fc.record({
    version: fc.constantFrom(1, 2, '1'),
    url: value,
    cluster: value,
    username: value,
    user: value,
    token: value,
    expiresAt: value,
  });
  fc.assert(
    fc.property(
      fc.oneof(
        record.map((one) => JSON.stringify(one)),
        fc.json(),
        fc.string(),
      ),
      (text) => {
        const found = parseSession(text);
        if (found === undefined) return;
        for (const key of ['url', 'cluster', 'username', 'user', 'token'] as const)
          expect(found[key]).toMatch(/./s);
        expect(() => new Date(found.expiresAt).toISOString()).not.toThrow();
      },
    ),
  );
});

test('what is written has the session and nothing else', async () => {
  await using folder = await temporaryFolder('session');
  const file = join(folder.path, 'x.json');
  writeSession(file, { ...session, password: 'secret' } as SavedSession);
  expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ version: 1, ...session });
});
