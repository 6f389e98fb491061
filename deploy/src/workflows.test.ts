import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { rootFolder } from './run.ts';

interface Step {
  readonly uses?: string;
  readonly run?: string;
}

interface Job {
  readonly needs?: string;
  readonly container: { readonly image: string };
  readonly environment?: string;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly steps: readonly Step[];
}

interface Workflow {
  readonly permissions: Readonly<Record<string, string>>;
  readonly jobs: Readonly<Record<string, Job>>;
}

const folder = join(rootFolder, '.github/workflows');
const files = await readdir(folder);
const read = async (file: string): Promise<Workflow> =>
  parse(await readFile(join(folder, file), 'utf8'));

test.each(files)(
  '%s pins actions by their commit and pnpm by its hash, and may read alone',
  async (file) => {
    const { permissions, jobs } = await read(file);
    expect(permissions).toEqual({ contents: 'read' });
    for (const { steps } of Object.values(jobs)) {
      for (const { uses } of steps)
        if (uses !== undefined) expect(uses).toMatch(/^[\w/-]+@[0-9a-f]{40}$/);
      const commands = steps.map(({ run = '' }) => run);
      const first = commands.findIndex((run) => /pnpm|\.ci\/run/.test(run));
      expect(commands[first]).toBe('.ci/install-pnpm');
    }
  },
);

test('package.json has the hash of pnpm', async () => {
  const { packageManager } = JSON.parse(await readFile(join(rootFolder, 'package.json'), 'utf8'));
  expect(packageManager).toMatch(/^pnpm@10\.\d+\.\d+\+sha512\.[0-9a-f]{128}$/);
});

test('a release is tested by a job that may publish nothing, and published by another one after it', async () => {
  const {
    test: tests,
    publish,
    ...others
  } = (await read('release.yaml')).jobs as Readonly<Record<string, Job>>;
  expect(others).toEqual({});
  expect(tests?.permissions).toBeUndefined();
  expect(tests?.environment).toBeUndefined();
  expect(JSON.stringify(tests)).not.toMatch(/secrets\.|github\.token/);
  expect(tests?.steps.map(({ run }) => run)).toContain('.ci/run');
  expect([publish?.needs, publish?.environment]).toEqual(['test', 'release']);
  expect(publish?.permissions).toEqual({ contents: 'write', 'id-token': 'write' });
  for (const { run = '' } of publish?.steps ?? [])
    expect(run).not.toMatch(/\.ci\/run|pnpm@10 (run )?test/);
  for (const job of [tests, publish]) {
    expect(job?.container.image).toMatch(
      /^debian:13@(sha256:[0-9a-f]{64}|\$\{\{ vars\.DEBIAN_DIGEST \}\})$/,
    );
  }
});
