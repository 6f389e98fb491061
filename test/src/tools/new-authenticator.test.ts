import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '@sallyport/test-servers/ports';
import { secret } from '@sallyport/test-servers/tokens';
import { beforeAll, describe, expect, test } from 'vitest';
import { http1Client, review } from '../testing/clients.ts';
import { temporaryFolder } from '../testing/folder.ts';
import { startGateway } from '../testing/gateway.ts';
import { guideLines } from '../testing/guide.ts';
import { rootFolder, runPnpm } from '../testing/pnpm.ts';
import { runLine, startLine } from '../testing/shell.ts';

/** The command of the guide. */
const [line = ''] = await guideLines('inside');
const command = line.replace('npx -y pnpm@10 ', '').split(' ');

let copy: string;
let printed: string;

/** @returns what git wrote to standard output */
async function git(cwd: string, ...words: readonly string[]): Promise<string> {
  return (await promisify(execFile)('git', words, { cwd, maxBuffer: 2 ** 24 })).stdout;
}

/** What no package depends on, and the generator does not change. Without it, an install and the checks take less time. */
const unneeded = /^(\.changeset|deploy|site|test|test-docs)\//;

/** Copies the files of this checkout, as they are now, with their dependencies installed. */
async function copyRepository(folder: string): Promise<void> {
  const stdout = await git(
    rootFolder,
    'ls-files',
    '--cached',
    '--others',
    '--exclude-standard',
    '-z',
  );
  const deleted = new Set((await git(rootFolder, 'ls-files', '--deleted', '-z')).split('\0'));
  const files = stdout
    .split('\0')
    .filter((file) => file !== '' && !deleted.has(file) && !unneeded.test(file));
  for (const parent of new Set(files.map((file) => dirname(join(folder, file)))))
    await mkdir(parent, { recursive: true });
  await Promise.all(files.map((file) => cp(join(rootFolder, file), join(folder, file))));
  // Biome and Turborepo look for the root of a repository.
  await git(folder, 'init', '--quiet');
  // After this, a status shows only later changes.
  await git(folder, 'add', '--all');
  // This installs what runs the generator, which then installs all packages itself.
  await done([
    'install',
    '--prefer-offline',
    '--frozen-lockfile',
    '--filter',
    'sallyport-workspace',
  ]);
}

/** @returns what pnpm wrote @throws AssertionError when it fails */
async function done(words: readonly string[], cwd = copy): Promise<string> {
  const { code, stdout, stderr } = await runPnpm(words, cwd);
  expect(code, `pnpm ${words.join(' ')}:\n${stdout}${stderr}`).toBe(0);
  return stdout + stderr;
}

/** The text of a script of a package. */
async function scriptOf(folder: string, name: string): Promise<string> {
  return JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')).scripts[name];
}

/** Runs a line as pnpm runs a script of a package in this folder, without the start of pnpm. @throws Error when it fails */
function passes(line: string, folder: string): Promise<string> {
  const bins = [folder, copy].map((one) => join(one, 'node_modules/.bin'));
  const { HOME = '', NODE_COMPILE_CACHE = '' } = process.env;
  const env = {
    HOME,
    PATH: [...bins, process.env.PATH].join(delimiter),
    NO_COLOR: '1',
    NODE_COMPILE_CACHE,
  };
  return runLine(line, { cwd: folder, env });
}

beforeAll(async () => {
  copy = await temporaryFolder('new-authenticator');
  // This halves the time of each start of a tool, and of the gateway: its tests use this folder of a copy.
  process.env.NODE_COMPILE_CACHE = join(copy, 'apps/gateway/.compile-cache');
  await copyRepository(copy);
  printed = await done(command);
});

describe('pnpm new-authenticator', () => {
  test('makes a package of seven files', () => {
    const files = [...printed.matchAll(/^ {2}packages\/authenticator-tickets\/(.*)$/gm)]
      .map(([, file]) => file)
      .sort();
    expect(files).toEqual([
      ...['README.md', 'package.json', 'src/index.test.ts', 'src/index.ts', 'src/ticket-server.ts'],
      ...['tsconfig.json', 'turbo.json'],
    ]);
  });

  test('prints commands that pass: its tests', async () => {
    const commands = [...printed.matchAll(/^ {2}npx -y pnpm@10 (.*)$/gm)].map(
      ([, words = '']) => words,
    );
    expect(commands).toEqual(['--filter @sallyport/authenticator-tickets test', 'check']);
    expect(await done((commands[0] ?? '').split(' '))).toMatch(/Tests.* [4-9]\d passed/);
  });

  // These are the parts of `check` for new files: all of it takes a minute. Tools start without pnpm, which is slow.
  test.each([
    [
      'lint and format',
      'biome ci --error-on-warnings packages/authenticator-tickets apps/gateway/package.json',
    ],
    ['boundaries', 'turbo boundaries'],
    [
      'imports',
      'depcruise --config scripts/src/dependency-cruiser.ts packages/authenticator-tickets',
    ],
    [
      'unused code',
      'knip --treat-config-hints-as-errors --workspace packages/authenticator-tickets',
    ],
    ['the schema of gateway.yaml', 'sallyport schema | diff - apps/gateway/gateway.schema.json'],
  ])('makes a package that passes: %s', async (_name, line) => {
    await passes(line, copy);
  });

  test.each(['types', 'build'])('makes a package whose script passes: %s', async (script) => {
    const folder = join(copy, 'packages/authenticator-tickets');
    await passes(await scriptOf(folder, script), folder);
  });

  test('makes a package that is in the lockfile', async () => {
    await done(['install', '--offline', '--frozen-lockfile', '--lockfile-only']);
  });

  test('makes a plugin that answers a review by use: tickets', async () => {
    const port = await freePort();
    const server = join(copy, 'packages/authenticator-tickets/src/ticket-server.ts');
    await writeFile(server, (await readFile(server, 'utf8')).replace('9099', `${port}`));
    await using backend = startLine(`${process.execPath} ${server}`, {
      cwd: copy,
      env: { PATH: '/bin:/usr/bin' },
    });
    const token = secret(await backend.waitFor(/"token":"([^"]+)"/));
    const options = { url: `http://127.0.0.1:${port}` };
    await using gateway = await startGateway({
      gatewayFolder: join(copy, 'apps/gateway'),
      config: {
        authenticators: [
          { name: 'corp', use: 'tickets', username: { prefix: 'ticket:' }, options },
        ],
      },
    });
    using client = http1Client(gateway.url);
    expect(await review(client, token)).toEqual({
      authenticated: true,
      user: { username: 'ticket:alice', groups: ['developers'] },
    });
    expect(
      await review(client, secret(`${token.slice(0, -1)}${token.endsWith('0') ? 1 : 0}`)),
    ).toEqual({
      authenticated: false,
    });
  });

  test.each([
    [
      ['tickets'],
      'packages/authenticator-tickets exists, so nothing was written: choose another name',
    ],
    // The tests have no terminal that could be asked.
    [[], '\nno name was given: run npx -y pnpm@10 new-authenticator my-plugin\n'],
  ])('is refused for %j', async (names, message) => {
    const before = await git(copy, 'status', '--short');
    const { code, stdout, stderr } = await runPnpm(['new-authenticator', ...names], copy);
    expect([code, stdout + stderr]).toEqual([1, expect.stringContaining(message)]);
    expect(stdout + stderr).not.toMatch(/^ {4}at /m);
    expect(await git(copy, 'status', '--short')).toBe(before);
  });
});
