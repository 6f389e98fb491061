import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { rootFolder } from './run.ts';

interface Step {
  readonly id?: string;
  readonly if?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly uses?: string;
  readonly run?: string;
}

interface Job {
  readonly if?: string;
  readonly strategy?: { readonly matrix: { readonly part: readonly string[] } };
  readonly needs?: string | readonly string[];
  readonly container?: { readonly image: string };
  readonly environment?: string;
  readonly outputs?: Readonly<Record<string, string>>;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly steps: readonly Step[];
}

interface Workflow {
  readonly permissions: Readonly<Record<string, string>>;
  readonly jobs: Readonly<Record<string, Job>>;
}

const expression = (value: string) => `\${{ ${value} }}`;

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
      const first = commands.find((run) => /pnpm|\.ci\/run/.test(run));
      expect(first ?? '.ci/install-pnpm').toBe('.ci/install-pnpm');
    }
  },
);

test('CI runs the checks and each part of the tests', async () => {
  const job = (await read('ci.yaml')).jobs.ci;
  expect(job?.strategy?.matrix.part).toEqual(['check', 'unit', 'black-box', 'tools']);
  expect(job?.steps.at(-1)?.run).toBe(`.ci/run ${expression('matrix.part')}`);
});

test('package.json has the hash of pnpm', async () => {
  const { packageManager } = JSON.parse(await readFile(join(rootFolder, 'package.json'), 'utf8'));
  expect(packageManager).toMatch(/^pnpm@10\.\d+\.\d+\+sha512\.[0-9a-f]{128}$/);
});

test('a release is tested and built by jobs that may publish nothing, and published by one that runs no code of others', async () => {
  const { test: tests, build, publish, site: _, ...others } = (await read('release.yaml')).jobs;
  expect(others).toEqual({});
  for (const job of [tests, build]) {
    expect([job?.permissions, job?.environment]).toEqual([undefined, undefined]);
    expect(JSON.stringify(job)).not.toMatch(/secrets\.|github\.token/);
  }
  const commands = (job?: Job) => job?.steps.flatMap(({ run = [] }) => run) ?? [];
  expect(commands(tests)).toContain('.ci/run');
  expect(commands(build)).toContain('npx -y pnpm@10 release --strict');

  expect([publish?.needs, publish?.environment]).toEqual([['test', 'build'], 'release']);
  expect(publish?.permissions).toEqual({ contents: 'write', 'id-token': 'write' });
  for (const run of commands(publish)) expect(run).not.toMatch(/pnpm|\.ci\/|\bnp[mx]\b/);
  expect(commands(publish).at(-1)).toBe('node deploy/src/publish.ts release');
  // What is published is what was built: before anything else is done with it, it has the checksums that the build reported.
  expect(build?.outputs).toEqual({ sums: expression('steps.sums.outputs.sums') });
  expect(build?.steps.find(({ id }) => id === 'sums')?.run).toBe(
    'echo "sums=$(sha256sum release/SHA256SUMS)" >> "$GITHUB_OUTPUT"',
  );
  const downloaded = publish?.steps.findIndex(({ uses }) => uses?.includes('download-artifact'));
  expect(publish?.steps[(downloaded ?? 0) + 1]).toEqual({
    run: `printf '%s\\n' "$SUMS" | sha256sum --check --strict`,
    env: { SUMS: expression('needs.build.outputs.sums') },
  });
  // npm takes a token, if there is one, in place of the identity of the workflow.
  expect(JSON.stringify(publish)).not.toMatch(/npm_token|node_auth_token|registry-url/i);

  for (const job of [tests, build, publish])
    expect(job?.container?.image).toMatch(
      /^debian:13@(sha256:[0-9a-f]{64}|\$\{\{ vars\.DEBIAN_DIGEST \}\})$/,
    );
});

test('a release publishes the site if the repository has GitHub Pages, by a job that runs no code of this repository', async () => {
  const { build, site } = (await read('release.yaml')).jobs;
  const ifPublished = "vars.PUBLISH_SITE == 'true'";
  const built = build?.steps.filter((step) => step.if === ifPublished) ?? [];
  expect(built[0]?.run).toMatch(/^npx -y pnpm@10 run docs && tar .* --directory site\/dist \.$/);
  expect(built[1]).toMatchObject({
    uses: expect.stringMatching('^actions/upload-artifact@'),
    with: { name: 'github-pages', path: 'artifact.tar' },
  });
  expect([site?.if, site?.needs]).toEqual([ifPublished, 'publish']);
  expect([site?.environment, site?.permissions]).toEqual([
    'github-pages',
    { pages: 'write', 'id-token': 'write' },
  ]);
  expect(site?.steps.map(({ run, uses }) => run ?? uses)).toEqual([
    expect.stringMatching('^actions/deploy-pages@'),
  ]);
});

test('a release has the Node that this repository pins', async () => {
  const { nodeVersion } = parse(await readFile(join(rootFolder, 'pnpm-workspace.yaml'), 'utf8'));
  const text = await readFile(join(folder, 'release.yaml'), 'utf8');
  const versions = [...text.matchAll(/node-version: ([\d.]+)/g)].map(([, version]) => version);
  expect(versions).toEqual([nodeVersion, nodeVersion, nodeVersion]);
});
