import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { rejectionReasons } from '@sallyport/authenticator';
import { freePort } from '@sallyport/test-servers/ports';
import { beforeAll, describe, expect, test } from 'vitest';
import { http1Client, review } from './testing/clients.ts';
import { runCommand } from './testing/command.ts';
import { startGateway } from './testing/gateway.ts';
import { guideBlocks, readGuide, writeGuide } from './testing/guide.ts';
import { rootFolder } from './testing/pnpm.ts';
import { randomToken } from './testing/tokens.ts';

const run = promisify(execFile);
const blocks = await guideBlocks();
const guide = await readGuide();

/** Where each block of commands is run: `installed.test.ts` and `new-authenticator.test.ts`. */
const commands = ['outside', 'inside', 'pack', 'packed', 'backend', 'gateway'];
/** A picture, in no language. */
const pictures = blocks.filter(({ language }) => language === '');

let folder: string;
beforeAll(async () => {
  folder = await writeGuide();
});

test('every block is a file that is tested here, or commands that another test runs', () => {
  const titles = blocks.filter(({ language }) => language !== '').map(({ title }) => title);
  expect(titles.filter((title) => !/^[\w/.]+\.(ts|yaml)$/.test(title) && !commands.includes(title))).toEqual([]);
  expect(new Set(titles).size).toBe(titles.length);
  const files = blocks.filter(({ title }) => title.includes('.'));
  expect(files.filter(({ title, language }) => !title.endsWith(`.${language}`))).toEqual([]);
  expect(titles.length).toBeGreaterThan(10);
  expect(pictures.map(({ text }) => text)).toEqual([expect.stringContaining('recognizes(token)?')]);
});

test.each(['src/index.ts', 'src/index.test.ts', 'sallyport.yaml'])('%s is what npm create writes', async (title) => {
  const block = blocks.find((one) => one.title === title);
  expect(block?.text).toBe(await readFile(join(folder, title), 'utf8'));
});

test('the code has types, with the strict settings of this repository', async () => {
  const settings = {
    extends: join(rootFolder, 'tsconfig.base.json'),
    compilerOptions: { noEmit: true },
    include: ['src'],
  };
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(settings));
  const { stdout } = await run(join(rootFolder, 'node_modules/.bin/tsc'), [], { cwd: folder }).catch((error) => error);
  expect(stdout).toBe('');
});

test('the tests of the guide pass, on its own plugins', async () => {
  // NODE_OPTIONS and NODE_TEST_CONTEXT of a runner would change what it prints.
  const env = { PATH: process.env.PATH, NO_COLOR: '1' };
  const { stdout } = await run(process.execPath, ['--test', 'src/*.test.ts'], { cwd: folder, env }).catch(
    (error) => error,
  );
  expect(stdout).toMatch(/\n. fail 0\n. cancelled 0\n/);
  const names = blocks.map(({ title }) => title).filter((title) => title.endsWith('.test.ts'));
  expect(Number(/\n. pass (\d+)\n/.exec(stdout)?.[1])).toBeGreaterThan(names.length * 30);
});

test('sallyport.yaml is a config without a problem', async () => {
  const { stdout } = await runCommand(['check', '--config', 'sallyport.yaml'], { cwd: folder });
  expect(stdout).toMatch(/^config +ok /m);
});

const load = (name: string) => import(pathToFileURL(join(folder, 'src', name)).href);

test('retry.ts asks the other server in an outage, and not for a problem of one token', async () => {
  const { askEither } = await load('retry.ts');
  const failing = (code: string) => () => Promise.reject(Object.assign(new Error(code), { code }));
  expect(await askEither([failing('unavailable'), async () => 'answer'])).toBe('answer');
  await expect(askEither([])).rejects.toThrow('no server is configured');
});

test('backend.ts stops, hangs and starts a program', async () => {
  const port = await freePort();
  const program = `require('http').createServer((_, response) => response.end('ok')).listen(${port}, '127.0.0.1')`;
  const { startBackend } = await load('backend.ts');
  const backend = await startBackend([process.execPath, '-e', program], port);
  const ask = async (limit: number) =>
    (await fetch(`http://127.0.0.1:${port}`, { signal: AbortSignal.timeout(limit) })).text();
  try {
    expect(await ask(10_000)).toBe('ok');
    await backend.hang();
    await expect(ask(300)).rejects.toThrow(/timeout/);
    await backend.start();
    expect(await ask(10_000)).toBe('ok');
    await backend.stop();
    await expect(ask(10_000)).rejects.toThrow('fetch failed');
    await backend.start();
    expect(await ask(10_000)).toBe('ok');
  } finally {
    await backend.stop();
  }
});

test('it explains every reason of a refusal', () => {
  const table = /\| Reason \|.*?\n\n/s.exec(guide)?.[0] ?? '';
  const words = [...table.matchAll(/^\| (.*?) \|/gm)].flatMap(([, cell = '']) => [...cell.matchAll(/`([\w-]+)`/g)]);
  expect(words.map(([, word]) => word).sort()).toEqual([...rejectionReasons].sort());
});

test('a plugin that a compiler wrote as CommonJS is refused with the fix that the guide has', async () => {
  const compiled = `Object.defineProperty(exports, '__esModule', { value: true });
    exports.default = { specificationVersion: 1, name: 'compiled', caching: 'none', create: async () => ({}) };`;
  await writeFile(join(folder, 'compiled.cjs'), compiled);
  await writeFile(join(folder, 'compiled.yaml'), 'authenticators: [{ name: compiled, use: ./compiled.cjs }]\n');
  const { code, stdout } = await runCommand(['check', '--config', 'compiled.yaml'], { cwd: folder });
  expect([code, stdout]).toEqual([
    1,
    expect.stringContaining('is a CommonJS module, with the plugin in its exports.default'),
  ]);
  expect(stdout).toContain('"type": "module" in its package.json, and `export default plugin` in its code');
  expect(guide).toContain('is a CommonJS module, with the plugin in its exports.default');
});

/** A plugin that does what each token says, as one row of the guide's table. */
const wirePlugin = `
import { AuthenticatorError } from '@sallyport/authenticator';
import { z } from 'zod';
const rows = ROWS;
export default {
  specificationVersion: 1,
  name: 'wire',
  caching: 'none',
  optionsSchema: z.strictObject({}),
  create: async () => ({
    async authenticate(token) {
      const row = rows[Number(token.split('_')[1])];
      if (row.throws) throw new AuthenticatorError(row.throws, 'as the row says');
      return row;
    },
    close: async () => {},
  }),
};
`;

describe('what a decision means to kube-apiserver', () => {
  const rows = [...guide.matchAll(/^\| `(\{.*\})` \| `(\{.*\})` \|$/gm)].map(
    ([, decision = '', status = '']) => [decision, JSON.parse(status)] as const,
  );

  test('is what the gateway answers, in each row of the table', async () => {
    expect(rows.length).toBeGreaterThan(6);
    const decisions = `[${rows.map(([decision]) => decision).join(',')}]`;
    await writeFile(join(folder, 'src/wire.js'), wirePlugin.replace('ROWS', decisions));
    const config = { authenticators: [{ name: 'wire', use: join(folder, 'src/wire.js') }] };
    await using gateway = await startGateway({ config });
    using client = http1Client(gateway.url);
    const answers = await Promise.all(rows.map((_, index) => review(client, `row_${index}_${randomToken()}`)));
    expect(answers).toEqual(rows.map(([, status]) => status));
  });
});
