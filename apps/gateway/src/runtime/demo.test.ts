import { createHash } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
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

  async function expectWhole(): Promise<void> {
    const body = JSON.parse(await readFile(join(folder, 'current/token-review.json'), 'utf8'));
    const digest = createHash('sha256').update(body.spec.token).digest('hex');
    const tokens = await readFile(join(folder, 'current/tokens.yaml'), 'utf8');
    expect(tokens).toContain(`sha256: ${digest}\n`);
    const modes = await Promise.all(
      ['.', 'current', 'current/token-review.json', 'current/tokens.yaml'].map(
        async (name) => (await stat(join(folder, name))).mode & 0o777,
      ),
    );
    expect(modes).toEqual([0o700, 0o700, 0o600, 0o600]);
  }

  test('makes a request body and the digest of its token, for the owner alone', async () => {
    expect(await prepareDemo(folder)).toBe(join(folder, 'current/token-review.json'));
    await expectWhole();
  });

  test('makes another token at each start, and removes the earlier one', async () => {
    const before = await readFile(await prepareDemo(folder), 'utf8');
    expect(await readFile(await prepareDemo(folder), 'utf8')).not.toBe(before);
    await expectWhole();
    expect(await readdir(folder)).toHaveLength(2);
  });

  test('leaves the token of one demo in both files if several start concurrently', async () => {
    await Promise.all(Array.from({ length: 32 }, () => prepareDemo(folder)));
    await expectWhole();
  });

  test('replaces whatever an earlier start left behind, half of a file too, and its mode', async () => {
    await prepareDemo(folder);
    await writeFile(
      join(folder, 'current/token-review.json'),
      '{"apiVersion":"authentication.k8s.io/v1","kind":"Tok',
    );
    await rm(join(folder, 'current/tokens.yaml'));
    await chmod(join(folder, 'current/token-review.json'), 0o666);
    await prepareDemo(folder);
    await expectWhole();
  });

  test('refuses a folder that others may write into, or that is a link', async () => {
    await prepareDemo(folder);
    await chmod(folder, 0o777);
    await expect(prepareDemo(folder)).rejects.toThrow(/: remove it, and start again/);
    await chmod(folder, 0o700);
    await symlink(folder, join(root, 'link'));
    await expect(prepareDemo(join(root, 'link'))).rejects.toThrow(/: remove it, and start again/);
  });
});
