import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { withServicesDenied } from './denied-services.ts';

const allowsAll = '#!/bin/sh\nexit 0\n';
let folder: string;
let policy: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'denied-services-'));
  policy = join(folder, 'policy-rc.d');
  onTestFinished(() => rm(folder, { recursive: true }));
});

async function writeOldPolicy(): Promise<void> {
  await writeFile(policy, allowsAll);
  await chmod(policy, 0o750);
}

async function expectOldPolicy(): Promise<void> {
  expect(await readdir(folder)).toEqual(['policy-rc.d']);
  expect(await readFile(policy, 'utf8')).toBe(allowsAll);
  expect((await stat(policy)).mode & 0o777).toBe(0o750);
}

/** The exit status that invoke-rc.d would get from the policy. */
const answer = () => spawnSync(policy, ['slapd', 'start']).status;

describe('withServicesDenied', () => {
  test('denies while the work runs, and leaves nothing behind', async () => {
    let during: number | null = null;
    await withServicesDenied(policy, async () => {
      during = answer();
    });
    expect(during).toBe(101);
    expect(await readdir(folder)).toEqual([]);
  });

  test('replaces an existing policy, and restores it unchanged', async () => {
    await writeOldPolicy();
    let during: number | null = null;
    await withServicesDenied(policy, async () => {
      during = answer();
    });
    expect(during).toBe(101);
    await expectOldPolicy();
  });

  test('restores the old policy when the work fails, and passes the error on', async () => {
    await writeOldPolicy();
    const work = () => Promise.reject(new Error('no network'));
    await expect(withServicesDenied(policy, work)).rejects.toThrow('no network');
    await expectOldPolicy();
  });

  test.each(['SIGHUP', 'SIGINT', 'SIGTERM'] as const)(
    'lets the work end after %s, then restores the old policy',
    async (signal) => {
      await writeOldPolicy();
      const program = `
      import { once } from 'node:events';
      import { withServicesDenied } from ${JSON.stringify(new URL('denied-services.ts', import.meta.url).href)};
      await withServicesDenied(${JSON.stringify(policy)}, async (signal) => {
        const inputEnded = once(process.stdin.resume(), 'end');
        console.log('at work');
        await once(signal, 'abort');
        console.log('aborted');
        await inputEnded;
      });`;
      const child = spawn(process.execPath, ['--input-type=module', '--eval', program]);
      const errors = text(child.stderr);
      await once(child.stdout, 'data');
      child.kill(signal);
      await once(child.stdout, 'data');
      expect(answer()).toBe(101);
      child.stdin.end();
      expect(await once(child, 'close')).toEqual([1, null]);
      expect(await errors).toContain(`stopped by ${signal}`);
      await expectOldPolicy();
    },
  );

  test.each([true, false])('restores what a killed run left (old policy: %s)', async (old) => {
    if (old) await writeOldPolicy();
    let ours = '';
    await withServicesDenied(policy, async () => {
      ours = await readFile(policy, 'utf8');
    });
    if (old) await writeFile(`${policy}.before-test-setup`, allowsAll, { mode: 0o750 });
    await writeFile(policy, ours);
    await withServicesDenied(policy, async () => {});
    if (old) await expectOldPolicy();
    else expect(await readdir(folder)).toEqual([]);
  });

  test('overwrites no policy that was moved aside', async () => {
    await writeOldPolicy();
    await writeFile(`${policy}.before-test-setup`, 'another');
    await expect(withServicesDenied(policy, async () => {})).rejects.toThrow('is in the way');
    expect(await readFile(`${policy}.before-test-setup`, 'utf8')).toBe('another');
    expect(await readFile(policy, 'utf8')).toBe(allowsAll);
  });
});
