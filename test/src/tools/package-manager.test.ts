import { readFile } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { staticAuthenticator, tokensFile } from '@sallyport/test-servers/static-tokens';
import { randomToken } from '@sallyport/test-servers/tokens';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { configFolder } from '../testing/config-folder.ts';
import { rootFolder, runPnpm } from '../testing/pnpm.ts';

/** Makes the folder of a valid config, with a name that is not anywhere else. */
const createConfig = (): Promise<string> =>
  configFolder(
    { authenticators: [staticAuthenticator] },
    { 'tokens.yaml': tokensFile({ [randomToken()]: 'ci' }) },
  );

describe.concurrent('pnpm', () => {
  test('sallyport takes a relative --config from where the user is, and passes on the exit code', async () => {
    const cwd = join(rootFolder, 'docs');
    const missing = relative(cwd, `${await createConfig()}.yaml`);
    const words = ['sallyport', 'check', '--config', missing, '-o', 'json'];
    const { code, stdout } = await runPnpm(words, cwd);
    expect(code).toBe(1);
    // It writes nothing but the JSON: a line of pnpm's own before that could not be parsed.
    expect(JSON.parse(stdout).findings[0].problem.file).toBe(join(cwd, missing));
  });

  test('--filter gateway start takes a relative --config from where the user is, not from the package', async () => {
    const missing = `${basename(await createConfig())}.yaml`;
    const { code, stderr } = await runPnpm(
      ['--filter', 'gateway', 'start', '--config', missing],
      rootFolder,
    );
    expect(code).toBe(1);
    expect(stderr).toContain(join(rootFolder, missing));
  });
});

describe('an install', () => {
  const read = async (file: string) => parse(await readFile(join(rootFolder, file), 'utf8'));

  test('runs no script of any package', async () => {
    expect((await read('pnpm-workspace.yaml')).onlyBuiltDependencies).toEqual([]);
  });

  test('takes the Node that runs everything from packages whose hashes are in the lockfile', async () => {
    const { optionalDependencies } = await read('package.json');
    const { packages } = await read('pnpm-lock.yaml');
    const nodes = Object.entries(optionalDependencies as Record<string, string>).map((each) =>
      each.join('@'),
    );
    expect(nodes).toHaveLength(5);
    for (const node of nodes)
      expect(packages[node].resolution.integrity).toMatch(/^sha512-[\w+/]{86}==$/);
    const platform = nodes.filter((node) => node.includes(`-${process.platform}-${process.arch}@`));
    expect(platform.map((node) => node.split('@')[1])).toEqual([process.versions.node]);
  });
});
