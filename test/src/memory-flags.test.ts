import { execFile, spawn } from 'node:child_process';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { staticAuthenticator, tokensFile } from '@sallyport/test-servers/static-tokens';
import { randomToken } from '@sallyport/test-servers/tokens';
import { waitForPromise } from '@sallyport/test-servers/wait-for';
import { describe, expect, test } from 'vitest';
import { http1Client, review } from './testing/clients.ts';
import { gatewayCommand, gatewayFolder, runCommand } from './testing/command.ts';
import { configFolder } from './testing/config-folder.ts';
import { temporaryFolder } from './testing/folder.ts';
import { type GatewaySetup, startGateway } from './testing/gateway.ts';
import { collectOutput } from './testing/output.ts';
import { rootFolder } from './testing/pnpm.ts';

const setup = (): GatewaySetup => ({
  files: { 'tokens.yaml': tokensFile({ [randomToken()]: 'ci' }) },
  config: { authenticators: [staticAuthenticator] },
});

/** The flags that a process runs with, once each. */
async function flagsOf(pid: number | undefined): Promise<readonly string[]> {
  const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0');
  const flags = words.slice(1, words.indexOf('serve') - 1);
  return flags.filter((flag) => !flag.startsWith('--conditions=')).sort();
}

/** The flags that do not depend on the memory: the machine that runs the test might have a limit. */
const withoutHeap = (flags: readonly string[]) =>
  flags.filter((flag) => !flag.startsWith('--max-old-space-size='));

const all = ['--disable-sigusr1', '--max-semi-space-size=8'];

/** Starts `serve` with words of a shell, in whatever way they do it. */
async function start(
  words: string,
  env: Readonly<Record<string, string>> = {},
  stdio: 'ipc' | 'pipe' = 'pipe',
) {
  const { files, config } = setup();
  const folder = await configFolder({ ...(config as object) }, files ?? {});
  const PATH = [
    join(rootFolder, 'node_modules/.bin'),
    dirname(process.execPath),
    process.env.PATH,
  ].join(delimiter);
  const line = `${words} --config '${folder}/gateway.yaml' --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0`;
  const child = spawn('sh', ['-c', line], {
    cwd: rootFolder,
    env: { PATH, HOME: folder, ...env },
    stdio: ['ignore', 'pipe', 'pipe', stdio],
  });
  const [, stdout, stderr] = child.stdio;
  if (!stdout || !stderr) throw new Error(`${words} has no output`);
  const output = collectOutput(stdout, stderr);
  const ended = new Promise((resolve) => child.once('close', (code) => resolve(code)));
  const died = ended.then((end) =>
    Promise.reject(new Error(`ended with ${end}:\n${output.text()}`)),
  );
  await Promise.race([output.waitForLine(({ msg }) => msg === 'listening', '"listening"'), died]);
  died.catch(() => {});
  return {
    child,
    output,
    flags: await flagsOf(child.pid),
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGTERM');
      expect(await waitForPromise(ended, 'the end')).toBe(0);
    },
  };
}

const entry = join(gatewayFolder, 'src/sallyport.js');
const { scripts } = JSON.parse(await readFile(join(gatewayFolder, 'package.json'), 'utf8'));

describe('the flags of Node that save memory', () => {
  test.each([
    { name: 'Node', words: `exec '${process.execPath}' '${entry}' serve` },
    {
      name: 'the link that a package manager makes',
      words: 'exec node_modules/.bin/sallyport serve',
    },
    {
      name: '`pnpm --filter gateway start`',
      words: `cd '${gatewayFolder}' && ${scripts.start.replace(' --demo', '')}`,
    },
  ])('are there if it is started by $name, in the same process', async ({ words }) => {
    await using started = await start(words);
    expect(withoutHeap(started.flags)).toEqual(all);
    expect(started.output.text()).not.toMatch(/warning/i);
  });

  test('lose against flags of NODE_OPTIONS and of the command line', async () => {
    await using started = await start(
      `exec '${process.execPath}' --max_old_space_size=200 '${entry}' serve`,
      { NODE_OPTIONS: '"--max-semi-space-size=16"' },
    );
    expect(started.flags).toEqual(['--disable-sigusr1', '--max_old_space_size=200']);
  });

  test.each([
    { name: 'MemoryMax', max: '209715200', high: 'max' },
    { name: 'MemoryHigh', max: '268435456', high: '209715200' },
  ])('include a heap of half of $name', async ({ max, high }) => {
    // What a kernel with cgroup v2 shows to a process of a service.
    const folder = await temporaryFolder('cgroup');
    for (const [name, text] of Object.entries({ cgroup: '0::/a.slice/b.service', max, high }))
      await writeFile(join(folder, name), `${text}\n`);
    const show = `set -e
      cgroup=/sys/fs/cgroup
      mount --make-rprivate /
      mount --bind ${folder}/cgroup "/proc/$$/cgroup"
      mount -t tmpfs none $cgroup
      mkdir -p $cgroup/a.slice/b.service
      cp ${folder}/max $cgroup/a.slice/b.service/memory.max
      cp ${folder}/high $cgroup/a.slice/b.service/memory.high
      exec "$@"`;
    const through = ['unshare', '--mount', 'sh', '-c', show, 'sh'];
    await using gateway = await startGateway({ ...setup(), through });
    expect(await flagsOf(gateway.pid)).toEqual([...all, '--max-old-space-size=100'].sort());
  });

  test('are not added to another command', async () => {
    const NODE_OPTIONS = `--import=data:text/javascript,console.error('started')`;
    const cwd = await temporaryFolder('schema');
    const { code, stderr } = await runCommand(['schema'], { cwd, env: { NODE_OPTIONS } });
    expect([code, stderr]).toEqual([0, 'started\n']);
    await using started = await start(`exec ${gatewayCommand.join(' ')} serve`, { NODE_OPTIONS });
    expect(started.output.text().match(/^started$/gm)).toHaveLength(2);
  });

  test('are left out for a parent that reads an IPC channel, which it would lose', async () => {
    await using started = await start(`exec ${gatewayCommand.join(' ')} serve`, {}, 'ipc');
    expect([started.child.connected, started.flags]).toEqual([true, ['--disable-sigusr1']]);
  });

  test('are asked for if its Node is gone, and it starts without them', async () => {
    const node = join(await temporaryFolder('node'), 'node');
    await copyFile(process.execPath, node);
    const remove = `await (await import("node:fs/promises")).rm("${node}")`;
    const preload = `--import=data:text/javascript,${encodeURIComponent(remove)}`;
    await using started = await start(`exec '${node}' '${preload}' '${entry}' serve`);
    expect(started.flags).toEqual([preload]);
    expect(started.output.text()).toMatch(
      /sallyport: can't start Node again with flags that save memory \(.*ENOENT.*\)\. To fix it, start Node with: --disable-sigusr1 --max-semi-space-size=8/,
    );
  });

  test('keep the code that Node has compiled usable, so some are set when the gateway listens', async () => {
    // V8's tag of stored code depends on the flags that change the code.
    const tagWith = async (...flags: string[]) => {
      const print = 'console.log(v8.cachedDataVersionTag())';
      return (await promisify(execFile)(process.execPath, [...flags, '-e', print])).stdout.trim();
    };
    const plugin = `
      import { cachedDataVersionTag } from 'node:v8';
      const schema = () => ({ type: 'object', properties: {} });
      const tag = () => String(cachedDataVersionTag());
      export default {
        specificationVersion: 1,
        name: 'tags',
        caching: 'none',
        optionsSchema: { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }), jsonSchema: { input: schema, output: schema } } },
        create: async () => {
          const groups = [tag()];
          return { authenticate: async () => ({ kind: 'authenticated', user: { username: tag(), groups } }), close: async () => {} };
        },
      };
    `;
    const authenticators = [{ name: 'tags', use: './tags.ts' }];
    await using gateway = await startGateway({
      files: { 'tags.ts': plugin },
      config: { authenticators },
    });
    using client = http1Client(gateway.url);
    expect((await review(client, randomToken())).user).toMatchObject({
      username: await tagWith('--heap-growing-percent=60', '--no-allocation-site-pretenuring'),
      groups: [await tagWith()],
    });
  });
});
