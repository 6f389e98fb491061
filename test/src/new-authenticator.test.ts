import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '@sallyport/test-servers/ports';
import { beforeAll, describe, expect, test } from 'vitest';
import { http1Client, review } from './testing/clients.ts';
import { temporaryFolder } from './testing/folder.ts';
import { startGateway } from './testing/gateway.ts';
import { guideLines } from './testing/guide.ts';
import { longest } from './testing/packages.ts';
import { rootFolder, runPnpm } from './testing/pnpm.ts';
import { startLine } from './testing/shell.ts';
import { secret } from './testing/tokens.ts';

/** As the guide has it. */
const [line = ''] = await guideLines('inside');
const command = line.replace('npx -y pnpm@10 ', '').split(' ');

let copy: string;
let printed: string;

/** @returns what git wrote to standard output */
async function git(cwd: string, ...words: readonly string[]): Promise<string> {
  return (await promisify(execFile)('git', words, { cwd, maxBuffer: 2 ** 24 })).stdout;
}

/** The files of this checkout, as they are now, with their dependencies installed. */
async function copyRepository(folder: string): Promise<void> {
  const stdout = await git(rootFolder, 'ls-files', '--cached', '--others', '--exclude-standard', '-z');
  const deleted = new Set((await git(rootFolder, 'ls-files', '--deleted', '-z')).split('\0'));
  const files = stdout.split('\0').filter((file) => file !== '' && !deleted.has(file));
  for (const parent of new Set(files.map((file) => dirname(join(folder, file)))))
    await mkdir(parent, { recursive: true });
  await Promise.all(files.map((file) => cp(join(rootFolder, file), join(folder, file))));
  // Biome and Turborepo look for the root of a repository.
  await git(folder, 'init', '--quiet');
  // So that a status shows what has changed since.
  await git(folder, 'add', '--all');
  await done(['install', '--prefer-offline', '--frozen-lockfile']);
}

/** @returns what pnpm wrote @throws AssertionError when it fails */
async function done(words: readonly string[], cwd = copy): Promise<string> {
  const { code, stdout, stderr } = await runPnpm(words, cwd, longest);
  expect(code, `pnpm ${words.join(' ')}:\n${stdout}${stderr}`).toBe(0);
  return stdout + stderr;
}

beforeAll(async () => {
  const since = performance.now();
  copy = await temporaryFolder('new-authenticator');
  await copyRepository(copy);
  const copied = performance.now();
  printed = await done(command);
  const seconds = (from: number, to: number) => `${((to - from) / 1000).toFixed(1)} s`;
  console.log(`copied and installed in ${seconds(since, copied)}; created in ${seconds(copied, performance.now())}`);
}, longest);

describe('pnpm new-authenticator', () => {
  test('makes a package of seven files', () => {
    const files = [...printed.matchAll(/^ {2}packages\/authenticator-tickets\/(.*)$/gm)].map(([, file]) => file).sort();
    expect(files).toEqual([
      ...['README.md', 'package.json', 'src/index.test.ts', 'src/index.ts', 'src/ticket-server.ts'],
      ...['tsconfig.json', 'turbo.json'],
    ]);
  });

  test(
    'prints commands that pass: its tests',
    async () => {
      const commands = [...printed.matchAll(/^ {2}npx -y pnpm@10 (.*)$/gm)].map(([, words = '']) => words);
      expect(commands).toEqual(['--filter @sallyport/authenticator-tickets test', 'check']);
      expect(await done((commands[0] ?? '').split(' '))).toMatch(/Tests.* [4-9]\d passed/);
    },
    longest,
  );

  // The parts of `check`, on what is new: all of it takes a minute.
  test.each([
    ['types', ['--filter', '@sallyport/authenticator-tickets', 'types']],
    ['a build', ['--filter', '@sallyport/authenticator-tickets', 'build']],
    [
      'lint and format',
      ['exec', 'biome', 'ci', '--error-on-warnings', 'packages/authenticator-tickets', 'apps/gateway/package.json'],
    ],
    ['boundaries', ['exec', 'turbo', 'boundaries']],
    [
      'imports',
      ['exec', 'depcruise', '--config', 'scripts/src/dependency-cruiser.ts', 'packages/authenticator-tickets'],
    ],
    ['unused code', ['exec', 'knip', '--treat-config-hints-as-errors']],
    ['the schema of gateway.yaml', ['--filter', 'gateway', 'exec', 'vitest', 'run', 'src/config/shipped.test.ts']],
    ['a frozen lockfile', ['install', '--offline', '--frozen-lockfile']],
  ])(
    'makes a package that passes: %s',
    async (_name, words) => {
      await done(words);
    },
    longest,
  );

  test(
    'makes a plugin that answers a review by use: tickets',
    async () => {
      const port = await freePort();
      const server = join(copy, 'packages/authenticator-tickets/src/ticket-server.ts');
      await writeFile(server, (await readFile(server, 'utf8')).replace('9099', `${port}`));
      await using backend = startLine(`${process.execPath} ${server}`, { cwd: copy, env: { PATH: '/bin:/usr/bin' } });
      const token = secret(await backend.waitFor(/"token":"([^"]+)"/));
      const options = { url: `http://127.0.0.1:${port}` };
      await using gateway = await startGateway({
        gatewayFolder: join(copy, 'apps/gateway'),
        config: { authenticators: [{ name: 'corp', use: 'tickets', username: { prefix: 'ticket:' }, options }] },
      });
      using client = http1Client(gateway.url);
      expect(await review(client, token)).toEqual({
        authenticated: true,
        user: { username: 'ticket:alice', groups: ['developers'] },
      });
      expect(await review(client, secret(`${token.slice(0, -1)}${token.endsWith('0') ? 1 : 0}`))).toEqual({
        authenticated: false,
      });
    },
    longest,
  );

  test.each([
    [['tickets'], 'packages/authenticator-tickets exists: nothing was written. Choose another name'],
    [['../escape'], '"../escape" is not a name for a plugin'],
    // The tests have no terminal that could be asked.
    [[], '\nno name was given: run npx -y pnpm@10 new-authenticator my-plugin\n'],
  ])(
    'is refused for %j',
    async (names, message) => {
      const before = await git(copy, 'status', '--short');
      const { code, stdout, stderr } = await runPnpm(['new-authenticator', ...names], copy, longest);
      expect([code, stdout + stderr]).toEqual([1, expect.stringContaining(message)]);
      expect(stdout + stderr).not.toMatch(/^ {4}at /m);
      expect(await git(copy, 'status', '--short')).toBe(before);
    },
    longest,
  );
});
