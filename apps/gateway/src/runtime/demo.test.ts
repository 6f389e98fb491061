import { createHash } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { prepareDemo } from './demo.ts';

describe('prepareDemo', () => {
  let root: string;
  let folder: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'demo-'));
    folder = join(root, '.demo');
  });
  afterEach(() => rm(root, { recursive: true }));

  async function digestsFit(): Promise<boolean> {
    const body = JSON.parse(await readFile(join(folder, 'token-review.json'), 'utf8'));
    const digest = createHash('sha256').update(body.spec.token).digest('hex');
    return (await readFile(join(folder, 'tokens.yaml'), 'utf8')).includes(`sha256: ${digest}\n`);
  }

  test('makes a request body and the digest of its token, for the owner alone', async () => {
    expect(await prepareDemo(folder)).toBe(join(folder, 'token-review.json'));
    expect(await digestsFit()).toBe(true);
    const modes = await Promise.all(
      ['.', 'token-review.json', 'tokens.yaml'].map(async (name) => (await stat(join(folder, name))).mode & 0o777),
    );
    expect(modes).toEqual([0o700, 0o600, 0o600]);
  });

  test('keeps the token from one start to the next', async () => {
    const before = await readFile(await prepareDemo(folder), 'utf8');
    expect(await readFile(await prepareDemo(folder), 'utf8')).toBe(before);
  });

  test('makes another token in each new folder', async () => {
    const one = await readFile(await prepareDemo(folder), 'utf8');
    const other = await readFile(await prepareDemo(join(root, 'other')), 'utf8');
    expect(one).not.toBe(other);
  });

  test.each(['', '{"apiVersion":"authentication.k8s.io/v1","kind":"Tok', '{"spec":{"token":"short"}}'])(
    'mends a torn request body %j',
    async (torn) => {
      await prepareDemo(folder);
      await writeFile(join(folder, 'token-review.json'), torn);
      await prepareDemo(folder);
      expect(await digestsFit()).toBe(true);
    },
  );

  test('mends digests that do not fit the request body', async () => {
    await prepareDemo(folder);
    await writeFile(join(folder, 'tokens.yaml'), 'tokens: []\n');
    await prepareDemo(folder);
    expect(await digestsFit()).toBe(true);
  });

  test('eight first starts at once agree on one token', async () => {
    await Promise.all(Array.from({ length: 8 }, () => prepareDemo(folder)));
    expect(await digestsFit()).toBe(true);
  });

  test('refuses a folder that others may write into, or that is a link', async () => {
    await prepareDemo(folder);
    await chmod(folder, 0o777);
    await expect(prepareDemo(folder)).rejects.toThrow(/remove it and start again/);
    await chmod(folder, 0o700);
    await symlink(folder, join(root, 'link'));
    await expect(prepareDemo(join(root, 'link'))).rejects.toThrow(/remove it and start again/);
  });

  test('removes what a start killed long ago left behind, and leaves that of another start alone', async () => {
    await prepareDemo(folder);
    const old = '.tokens.yaml.0123456789ab.tmp';
    const young = '.tokens.yaml.ba9876543210.tmp';
    await writeFile(join(folder, old), '');
    await writeFile(join(folder, young), '');
    await utimes(join(folder, old), new Date(0), new Date(0));
    await prepareDemo(folder);
    const names = await readdir(folder);
    expect(names.filter((name) => name.endsWith('.tmp'))).toEqual([young]);
  });
});
