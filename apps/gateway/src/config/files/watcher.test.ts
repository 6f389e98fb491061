import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { appendFileSync, readdirSync, readlinkSync } from 'node:fs';
import fs, {
  appendFile,
  mkdir,
  mkdtemp,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import {
  createFileWatcher,
  type FileWatcher,
  fileClockLag,
  loadWatchedFile,
  maxFileSize,
} from './watcher.ts';

describe('createFileWatcher', () => {
  let folder: string;
  let file: string;
  let watcher: FileWatcher;
  let changes: number;
  /** What happens while a changed file is given time to settle. */
  let onSettle: () => Promise<void>;
  /** Later than any file here was written: nothing counts as changed from the start. */
  const later = Number.MAX_SAFE_INTEGER;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'watcher-'));
    file = join(folder, 'tokens.yaml');
    await writeFile(file, 'one');
    watcher = createFileWatcher(() => onSettle());
    changes = 0;
    onSettle = async () => undefined;
  });
  afterEach(async () => {
    watcher.close();
    vi.useRealTimers();
    await rm(folder, { recursive: true });
  });

  const count = async () => {
    changes++;
  };

  /** The files that this process has open. */
  const openFiles = () =>
    readdirSync('/proc/self/fd').map((name) => {
      try {
        return readlinkSync(`/proc/self/fd/${name}`);
      } catch {
        return 'closed since';
      }
    });

  test.each(['EMFILE', 'ENFILE'])(
    'a file that a process without a file descriptor left (%s) cannot read has not changed',
    async (code) => {
      await watcher.watch([file], later, count);
      const shortage = Object.assign(new Error(code), { code });
      const open = vi.spyOn(fs, 'open').mockRejectedValue(shortage);
      syncBuiltinESMExports();
      const end = () => {
        open.mockRestore();
        syncBuiltinESMExports();
      };
      onTestFinished(end);
      await watcher.scan();
      await writeFile(file, 'two');
      await watcher.scan();
      expect([open.mock.calls.length > 1, changes]).toEqual([true, 0]);
      end();
      await watcher.scan();
      expect(changes).toBe(1);
      await watcher.scan();
      expect(changes).toBe(1);
    },
  );

  test('reports a changed content once', async () => {
    await watcher.watch([file], later, count);
    await watcher.scan();
    expect(changes).toBe(0);
    await writeFile(file, 'two');
    await watcher.scan();
    await watcher.scan();
    expect(changes).toBe(1);
  });

  test('reports a file replaced by a rename, however often', async () => {
    await watcher.watch([file], later, count);
    for (const content of ['two', 'six']) {
      await writeFile(`${file}.new`, content);
      await rename(`${file}.new`, file);
      await watcher.scan();
    }
    expect(changes).toBe(2);
  });

  test('sees a mounted ConfigMap swap the link that its files are behind', async () => {
    for (const version of ['v1', 'v2']) {
      await mkdir(join(folder, version));
      await writeFile(join(folder, version, 'gateway.yaml'), version);
    }
    await symlink('v1', join(folder, '..data'));
    await symlink('..data/gateway.yaml', join(folder, 'gateway.yaml'));
    await watcher.watch([join(folder, 'gateway.yaml')], later, count);
    await symlink('v2', join(folder, '..data_tmp'));
    await rename(join(folder, '..data_tmp'), join(folder, '..data'));
    await watcher.scan();
    expect(changes).toBe(1);
  });

  test('does not report a file that was only touched', async () => {
    await watcher.watch([file], later, count);
    await utimes(file, new Date(), new Date());
    await watcher.scan();
    expect(changes).toBe(0);
  });

  test('reports a file that goes, and one that comes back the same', async () => {
    await watcher.watch([file], later, count);
    await rm(file);
    await watcher.scan();
    expect(changes).toBe(1);
    await writeFile(file, 'one');
    await watcher.scan();
    expect(changes).toBe(2);
  });

  test('reports a file that a pipe has replaced, without waiting for a writer', async () => {
    await watcher.watch([file], later, count);
    await rm(file);
    execFileSync('mkfifo', [file]);
    await watcher.scan();
    await watcher.scan();
    expect(changes).toBe(1);
  });

  test('reports a file that became too big to be used, and again once it is not, whatever its content was between', async () => {
    await watcher.watch([file], later, count);
    await truncate(file, maxFileSize + 1);
    await watcher.scan();
    expect(changes).toBe(1);
    await appendFile(file, 'more');
    await watcher.scan();
    expect(changes).toBe(1);
    await writeFile(file, 'one');
    await watcher.scan();
    expect(changes).toBe(2);
  });

  test('takes a file that was written since the caller began to read for changed', async () => {
    await watcher.watch([file], 0, count);
    await watcher.scan();
    expect(changes).toBe(1);
  });

  test('takes a file that is written while the watch begins for changed', async () => {
    await truncate(file, maxFileSize / 2);
    const { ctimeMs } = await stat(file);
    await waitFor(() => Date.now() > ctimeMs + 2 * fileClockLag, 'the file to be old');
    const watched = watcher.watch([file], Date.now(), count);
    await waitFor(() => openFiles().includes(file), 'the file to be read');
    appendFileSync(file, 'more');
    await watched;
    await watcher.scan();
    expect(changes).toBe(1);
  });

  test.each([
    { what: 'a device, by a link', make: async (path: string) => symlink('/dev/zero', path) },
    { what: 'a folder', make: async (path: string) => void (await mkdir(path)) },
  ])(
    '$what that replaced a file since the caller began to read counts as a change',
    async ({ make }) => {
      const since = Date.now();
      await rm(file);
      await make(file);
      await watcher.watch([file], since, count);
      await watcher.scan();
      expect(changes).toBe(1);
    },
  );

  test('reports several files of one watch once, and nothing to the others', async () => {
    const other = join(folder, 'other');
    await writeFile(other, 'one');
    await watcher.watch([file, other], later, count);
    let others = 0;
    await watcher.watch([other], later, async () => {
      others++;
    });
    await writeFile(file, 'two');
    await watcher.scan();
    expect({ changes, others }).toEqual({ changes: 1, others: 0 });
  });

  test('a scan asked for while another is in progress sees what was written before it was asked for', async () => {
    const seen = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    await watcher.watch([file], later, async () => {
      changes++;
      seen.resolve();
      await goOn.promise;
    });
    await writeFile(file, 'two');
    const first = watcher.scan();
    await seen.promise;
    await writeFile(file, 'six');
    const second = watcher.scan();
    goOn.resolve();
    await Promise.all([first, second]);
    expect(changes).toBe(2);
  });

  test('does not report a file while it is being written', async () => {
    await watcher.watch([file], later, count);
    await writeFile(file, 'tokens: # half of it');
    onSettle = () => writeFile(file, 'tokens: # half of it and the rest');
    await watcher.scan();
    expect(changes).toBe(0);
    onSettle = async () => undefined;
    await watcher.scan();
    expect(changes).toBe(1);
  });

  test('a watch that was ended reports nothing', async () => {
    const end = await watcher.watch([file], later, count);
    end();
    await writeFile(file, 'two');
    await watcher.scan();
    expect(changes).toBe(0);
  });

  test('looks at nothing after it is closed, also at files that come later', async () => {
    watcher.close();
    await watcher.watch([file], later, count);
    await writeFile(file, 'two');
    await watcher.scan();
    expect(changes).toBe(0);
  });

  test('looks by itself every 2 s', async () => {
    watcher.close();
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    watcher = createFileWatcher(() => onSettle());
    const reported = Promise.withResolvers<void>();
    await watcher.watch([file], later, async () => reported.resolve());
    await writeFile(file, 'two');
    vi.advanceTimersByTime(2_000);
    await reported.promise;
  });
});

async function createFolder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'watched-file-'));
  onTestFinished(() => rm(path, { recursive: true }));
  return path;
}

const ignore = () => {};

describe('a file that a plugin reads', () => {
  test('comes to it byte for byte, and again at each reload', async () => {
    const file = join(await createFolder(), 'file');
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
    const file = join(await createFolder(), 'file');
    await writeFile(file, '');
    let length: number | undefined;
    await loadWatchedFile(file, (content) => {
      length = content.length;
    });
    expect(length).toBe(0);
  });

  test('that the plugin refuses fails with what the plugin said', async () => {
    const file = join(await createFolder(), 'file');
    await writeFile(file, '');
    const refusal = new Error('line 1: no');
    await expect(loadWatchedFile(file, () => Promise.reject(refusal))).rejects.toBe(refusal);
  });
});

describe('a file that can’t be read is named, with what is wrong and the fix', () => {
  test.each<{ what: string; make: (file: string) => unknown; message: string }>([
    {
      what: 'none there',
      make: () => undefined,
      message:
        "FILE can't be read: there is no such file: create it, or fix the path (relative paths start at the folder of the config file)",
    },
    {
      what: 'a folder',
      make: (file) => mkdir(file),
      message: 'FILE is a folder: name a file in it',
    },
    {
      what: 'a pipe that no one writes into',
      make: (file) => execFileSync('mkfifo', [file]),
      message: 'FILE is not a regular file: name one',
    },
    {
      what: 'one over 256 MiB',
      make: async (file) => {
        await writeFile(file, '');
        await truncate(file, maxFileSize + 1);
      },
      message: 'FILE must be at most 256 MiB: check the path',
    },
  ])('$what', async ({ make, message }) => {
    const file = join(await createFolder(), 'tokens.yaml');
    await make(file);
    await expect(loadWatchedFile(file, ignore)).rejects.toThrow(message.replace('FILE', file));
  });

  test('gone at a reload, or below a file', async () => {
    const file = join(await createFolder(), 'tokens.yaml');
    await writeFile(file, '');
    const below = loadWatchedFile(join(file, 'inner'), ignore);
    await expect(below).rejects.toThrow('a part of its path is a file, not a folder: fix the path');
    const watched = await loadWatchedFile(file, ignore);
    await rm(file);
    await expect(watched.reload()).rejects.toThrow('there is no such file: create it');
  });

  test('one over the limit of the plugin, which can be no more than 256 MiB', async () => {
    const file = join(await createFolder(), 'big');
    await writeFile(file, Buffer.alloc(2048));
    await loadWatchedFile(file, ignore, 2048);
    await expect(loadWatchedFile(file, ignore, 1024)).rejects.toThrow(
      `${file} must be at most 1 KiB`,
    );
    await truncate(file, maxFileSize + 1);
    await expect(loadWatchedFile(file, ignore, Number.MAX_SAFE_INTEGER)).rejects.toThrow(
      'must be at most 256 MiB',
    );
  });
});
