import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { rootFolder } from '../run.ts';
import { verifyIntegrity } from './node-package.ts';
import { platforms } from './platforms.ts';

test('a package with another hash than the lockfile has, or that it does not name, is refused', () => {
  const bytes = Buffer.from('a package');
  const integrity = `sha512-${hash('sha512', bytes, 'base64')}`;
  expect(() => verifyIntegrity('node-x@1.0.0', bytes, integrity)).not.toThrow();
  expect(() => verifyIntegrity('node-x@1.0.0', Buffer.from('other'), integrity)).toThrow(
    /^node-x@1\.0\.0: npm delivered sha512-\S+, but pnpm-lock\.yaml names sha512-/,
  );
  expect(() => verifyIntegrity('node-x@1.0.0', bytes, undefined)).toThrow('names no hash of it');
});

test('the lockfile has the Node of each platform, all of one version', async () => {
  const { packages } = parse(await readFile(join(rootFolder, 'pnpm-lock.yaml'), 'utf8'));
  const { optionalDependencies } = JSON.parse(
    await readFile(join(rootFolder, 'package.json'), 'utf8'),
  );
  const versions = new Set(
    platforms.map(({ nodePackage }) => {
      const version = optionalDependencies[nodePackage];
      expect(packages[`${nodePackage}@${version}`].resolution.integrity).toMatch(/^sha512-/);
      return version;
    }),
  );
  expect(versions.size).toBe(1);
});
