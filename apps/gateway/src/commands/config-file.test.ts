import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { packagePath } from '../base/package-files.ts';
import { createTestContext } from '../testing/command-context.ts';
import { configFile } from './config-file.ts';
import type { ConfigOptions } from './options.ts';
import { UsageError } from './output.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'config-file-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** Runs `configFile` with a fallback in the test's folder. @returns the path, and what is printed on standard error */
async function choose(options: ConfigOptions, fallback = join(folder, 'gateway.yaml')) {
  const context = createTestContext();
  const file = await configFile(context, options, fallback);
  return [file, context.printed.stderr];
}

const demo = packagePath('gateway.yaml');

test.each<{ name: string; options: ConfigOptions; file: string; reported: string }>([
  {
    name: '--config',
    options: { config: '/a.yaml', configSource: 'cli' },
    file: '/a.yaml',
    reported: '',
  },
  {
    name: '--config, not --demo',
    options: { config: '/a', configSource: 'cli', demo: true },
    file: '/a',
    reported: '',
  },
  {
    name: 'SALLYPORT_CONFIG',
    options: { config: '/b', configSource: 'env' },
    file: '/b',
    reported: '/b (SALLYPORT_CONFIG)',
  },
  { name: '--demo', options: { demo: true }, file: demo, reported: `${demo} (--demo)` },
  {
    name: 'SALLYPORT_CONFIG before --demo',
    options: { config: '/b', demo: true },
    file: '/b',
    reported: '/b (SALLYPORT_CONFIG)',
  },
])('$name names the config', async ({ options, file, reported }) => {
  await writeFile(join(folder, 'gateway.yaml'), '');
  const line = reported && `sallyport: using config ${reported}\n`;
  expect(await choose(options)).toEqual([file, line]);
});

test('without a name, a command uses the file in /etc, and reports it', async () => {
  const file = join(folder, 'gateway.yaml');
  await writeFile(file, '');
  expect(await choose({})).toEqual([file, `sallyport: using config ${file}\n`]);
});

test.each(['gateway.yaml', 'file/gateway.yaml'])(
  'without a name and without %s, a command fails, and names all three ways',
  async (missing) => {
    await writeFile(join(folder, 'file'), '');
    const fallback = join(folder, missing);
    const failed = choose({}, fallback);
    await expect(failed).rejects.toBeInstanceOf(UsageError);
    await expect(failed).rejects.toThrow(
      `--config is not given, SALLYPORT_CONFIG is not set, and ${fallback} does not exist: name a file with --config or SALLYPORT_CONFIG, or make one: `,
    );
  },
);

// The tests may run as root, who may read everything. A path that goes in circles can be read by no one.
test.each(['circle', 'circle/gateway.yaml'])(
  'a file that exists and cannot be read is not missing (%s)',
  async (name) => {
    await symlink('circle', join(folder, 'circle'));
    const file = join(folder, name);
    expect(await choose({}, file)).toEqual([file, `sallyport: using config ${file}\n`]);
  },
);

test('an empty --config, as of an unset variable, stands for no other config', async () => {
  await writeFile(join(folder, 'gateway.yaml'), '');
  await expect(choose({ config: '', configSource: 'cli' })).rejects.toThrow(
    new UsageError('--config is empty', 'name a file, or leave it out'),
  );
});
