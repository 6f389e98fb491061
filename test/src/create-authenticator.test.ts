import { execFile } from 'node:child_process';
import { globSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { npmEnvironment } from '@sallyport/test-servers/npm';
import { freePort } from '@sallyport/test-servers/ports';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { temporaryFolder } from './testing/folder.ts';
import { guideLines, readGuide } from './testing/guide.ts';
import { type NpmRegistry, startNpmRegistry } from './testing/npm-registry.ts';
import { longest, packAll } from './testing/packages.ts';
import { rootFolder } from './testing/pnpm.ts';
import { runLine, type ShellSetup, startLine } from './testing/shell.ts';

let folder: string;
let packages: string;
let registry: NpmRegistry;
let env: Record<string, string>;

beforeAll(async () => {
  folder = await temporaryFolder('create');
  packages = join(folder, 'packages');
  registry = await startNpmRegistry(await packAll(packages));
  // What asks whether to install create-authenticator is answered as by a user: with yes.
  env = await npmEnvironment(folder, `${registry.npmrc}yes=true\nprefer-offline=true\n`);
}, longest);

afterAll(() => registry[Symbol.asyncDispose]());

/** The commands in a text, as a user pastes them. */
const commandsOf = (text: string) => [...text.matchAll(/^ {2}((?:cd|npm|npx) .*)$/gm)].map(([, line = '']) => line);

/** Puts ports that are free in place of those that all such folders have. */
async function moveToFreePorts(plugin: string): Promise<void> {
  const ports = new Map(
    await Promise.all(['8080', '8081', '9099'].map(async (port) => [port, await freePort()] as const)),
  );
  for (const file of globSync(['sallyport.yaml', 'src/*'], { cwd: plugin })) {
    const text = await readFile(join(plugin, file), 'utf8');
    await writeFile(
      join(plugin, file),
      text.replaceAll(/\b(8080|8081|9099)\b/g, (port) => `${ports.get(port)}`),
    );
  }
}

/** As the guide has them. */
const [create = '', ...install] = await guideLines('outside');
const [backend = '', gateway = ''] = [...(await guideLines('backend')), ...(await guideLines('gateway'))];

describe.each([
  ['TypeScript', create],
  ['JavaScript', `${create} -- --language js`],
])('a plugin in %s', (language, command) => {
  let setup: ShellSetup;
  let plugin: string;
  let printed: string;
  let tested: string;

  beforeAll(async () => {
    const since = performance.now();
    const cwd = join(folder, language);
    await mkdir(cwd);
    printed = await runLine(command, { cwd, env, timeout: longest });
    plugin = join(cwd, 'tickets');
    setup = { cwd: plugin, env, timeout: longest };
    await moveToFreePorts(plugin);
    tested = await runLine(install.join(' && '), { ...setup, cwd });
    console.log(`${language}: created, installed and tested in ${((performance.now() - since) / 1000).toFixed(1)} s`);
  }, longest);

  test('is made, installed and tested by the commands of the guide, which are those that it prints', async () => {
    expect(commandsOf(printed)).toEqual([...install, backend, gateway]);
    expect(await readGuide()).toContain(command);
    expect(tested).toMatch(/\n. pass [4-9]\d\n. fail 0\n. cancelled 0\n. skipped 0\n/);
  });

  const answersReview = async () => {
    await using tickets = startLine(backend, setup);
    await using serving = startLine(gateway, setup);
    await serving.waitFor(/"msg":"(listening)"/);
    const line = await tickets.waitFor(/^ {2}(curl .*)$/m);
    const answer = JSON.parse(await runLine(line, setup));
    expect(answer.status).toEqual({ authenticated: true, user: { username: 'alice', groups: ['developers'] } });
    const foreign = JSON.stringify({ ...answer, spec: { token: 'of someone else' }, status: undefined });
    const refused = await runLine(line.replace(/-d '.*'/, `-d '${foreign}'`), setup);
    expect(JSON.parse(refused).status).toEqual({ authenticated: false });
  };
  test('answers a review, with the commands of the guide', answersReview, longest);

  const hasTypes = async () => {
    if (language === 'TypeScript') await runLine('npm run types', setup);
    else await promisify(execFile)(join(rootFolder, 'node_modules/.bin/tsc'), checkJavaScript, { cwd: plugin });
    const packed: { files: { path: string }[] }[] = JSON.parse(await runLine('npm pack --json --silent', setup));
    const code = language === 'TypeScript' ? ['dist/index.d.ts', 'dist/index.js'] : ['src/index.js'];
    const files = packed[0]?.files.map(({ path }) => path).sort();
    expect(files).toEqual(['README.md', ...code, 'package.json'].sort());
  };
  test('has types, and packs what it needs', hasTypes, longest);
});

test(
  'the commands for packages that are not on npm make a plugin that passes its tests',
  async () => {
    const cwd = join(folder, 'packed');
    await mkdir(join(cwd, 'settings'), { recursive: true });
    const setup = { cwd, env: await npmEnvironment(join(cwd, 'settings'), 'prefer-offline=true\n'), timeout: longest };
    expect(await guideLines('pack')).toEqual(['npx -y pnpm@10 pack:all ~/sallyport-packages']);
    const lines = (await guideLines('packed')).map((line) => line.replaceAll('~/sallyport-packages', packages));
    const tested = await runLine(lines.join(' && '), setup);
    expect(tested).toMatch(/\n. fail 0\n/);
  },
  longest,
);

const checkJavaScript = [
  ...['--ignoreConfig', '--noEmit', '--allowJs', '--checkJs', '--strict', '--module', 'nodenext', '--target', 'es2024'],
  ...['--typeRoots', join(rootFolder, 'node_modules/@types'), '--types', 'node'],
  ...['src/index.js', 'src/index.test.js', 'src/ticket-server.js'],
];
