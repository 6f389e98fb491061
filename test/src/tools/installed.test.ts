import { execFile } from 'node:child_process';
import { globSync, readdirSync } from 'node:fs';
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { findLeaks } from '@sallyport/test-servers/leaks';
import { npmEnvironment } from '@sallyport/test-servers/npm';
import { freePort } from '@sallyport/test-servers/ports';
import { startRedis } from '@sallyport/test-servers/redis';
import { randomToken, secret, secretsInUse } from '@sallyport/test-servers/tokens';
import { publint } from 'publint';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { http2Client, review } from '../testing/clients.ts';
import { commandsIn } from '../testing/documents.ts';
import { temporaryFolder } from '../testing/folder.ts';
import { guideLines } from '../testing/guide.ts';
import { rootFolder } from '../testing/pnpm.ts';
import { runLine, runProgram, type ShellSetup, startLine } from '../testing/shell.ts';
import { type NpmRegistry, startNpmRegistry } from './npm-registry.ts';
import { installLowestNode, npmInstall, packedPackages } from './packages.ts';

const nameOf = (folder: string) =>
  folder === 'kubectl-sallyport' ? folder : `@sallyport/${folder}`;
const names = [...readdirSync(join(rootFolder, 'packages')), 'gateway'].map(nameOf).sort();
/** The packages that are commands, which have nothing to import. */
const commands = ['@sallyport/create-authenticator', '@sallyport/gateway', 'kubectl-sallyport'];

let folder: string;
let tarballs: ReadonlyMap<string, string>;
/** The folder of the programs, as people install them with `npm install --global`. */
let programs: string;
/** A plugin that was created and tested by the commands for packages that are not on npm, and their output. */
let packed: { readonly plugin: string; readonly tested: string };

/** All tests of installed packages are in this file, since installing costs more than they do. */
beforeAll(async () => {
  folder = await temporaryFolder('installed');
  programs = join(folder, 'prefix/bin');
  tarballs = await packedPackages();
  const installed = npmInstall(folder, tarballs.values(), [
    '--global',
    '--prefix',
    join(folder, 'prefix'),
  ]);
  [packed] = await Promise.all([
    createFromTarballs(dirname([...tarballs.values()][0] ?? '')),
    installed,
  ]);
});

async function createFromTarballs(packages: string): Promise<typeof packed> {
  const cwd = join(folder, 'packed');
  await mkdir(join(cwd, 'settings'), { recursive: true });
  const setup = { cwd, env: await npmEnvironment(join(cwd, 'settings'), 'prefer-offline=true\n') };
  const lines = (await guideLines('packed')).map((line) =>
    line.replaceAll('~/sallyport-packages', packages),
  );
  return { plugin: join(cwd, 'tickets'), tested: await runLine(lines.join(' && '), setup) };
}

const tarball = (name: string) => readFile(tarballs.get(name) ?? '');

test('these packages are packed', () => {
  expect([...tarballs.keys()].sort()).toEqual(names);
});

test.each(names)('%s keeps the rules of publint', async (name) => {
  const { messages, pkg } = await publint({
    pack: { tarball: (await tarball(name)).buffer as ArrayBuffer },
    strict: true,
  });
  expect(messages).toEqual([]);
  expect(JSON.stringify({ ...pkg, sideEffects: undefined })).not.toMatch(
    /workspace:|catalog:|\.\/src\//,
  );
});

test.each(names.filter((name) => !commands.includes(name)))(
  '%s has types where it has code',
  async (name) => {
    const found = await checkPackage(createPackageFromTarballData(await tarball(name)));
    if (found.types === false) throw new Error('it has no types');
    // The other conditions are for require(), for which no package of ours is made.
    const asModules = new Set(['node16-esm', 'bundler']);
    const problems = found.problems.filter(
      (one) => !('resolutionKind' in one) || asModules.has(one.resolutionKind),
    );
    expect(problems).toEqual([]);
  },
);

/** An options schema by hand, like that of a plugin in JavaScript without dependencies. */
const pluginCode = `
const anything = { validate: (value) => ({ value }), jsonSchema: { input: () => ({ type: 'object', properties: {} }) } };
export default {
  specificationVersion: 1,
  name: 'near',
  optionsSchema: { '~standard': { version: 1, vendor: 'hand', ...anything } },
  caching: 'none',
  create: async () => ({
    recognizes: (token) => token === 'near-token',
    authenticate: async () => ({ kind: 'authenticated', user: { username: 'near-user', groups: [] } }),
    close: async () => {},
  }),
};`;

/** Extends the config of `init` by Redis for tokens and blocks, and by a plugin next to the config. */
async function extend(made: string, url: string): Promise<void> {
  const plugin = join(made, 'node_modules/@sallyport/authenticator-near');
  await mkdir(plugin, { recursive: true });
  const manifest = {
    name: '@sallyport/authenticator-near',
    version: '1.0.0',
    type: 'module',
    exports: './near.js',
  };
  await writeFile(join(plugin, 'package.json'), JSON.stringify(manifest));
  await writeFile(join(plugin, 'near.js'), pluginCode);
  const more = [
    { name: 'robots', use: 'redis', username: { prefix: 'robot:' }, options: { url } },
    { name: 'near', use: 'near', options: {} },
  ];
  const cache = stringify({ cache: { redis: { url, sealingKeys: [{ file: 'cache-key' }] } } });
  await writeFile(join(made, 'cache-key'), `${randomToken(32)}\n`, { mode: 0o600 });
  const config = join(made, 'gateway.yaml');
  await writeFile(
    config,
    `${(await readFile(config, 'utf8')) + stringify(more).replaceAll(/^/gm, '  ')}\n${cache}`,
  );
}

/** A user who has the installed programs, and the lowest Node that these run on. `env` has a folder for files of a user. */
async function userOf(
  ofPackage: string,
  more: Readonly<Record<string, string>> = {},
): Promise<ShellSetup> {
  const cwd = await temporaryFolder('installed-run');
  const PATH = [programs, dirname(await installLowestNode(ofPackage)), process.env.PATH].join(
    delimiter,
  );
  return {
    cwd,
    env: {
      PATH,
      HOME: cwd,
      NO_COLOR: '1',
      NODE_COMPILE_CACHE: join(folder, 'compile-cache'),
      ...more,
    },
  };
}

describe('sallyport, installed', () => {
  test('does what the README says, from init to a block, on the lowest Node', async () => {
    const user = await userOf('apps/gateway');
    await using redis = await startRedis();
    const made = join(user.cwd, 'made');
    const greeting = await runLine('sallyport init made --host 127.0.0.1', user);
    const first = secret(/"token":"([^"]+)"/.exec(greeting)?.[1] ?? '');
    await extend(made, redis.url);
    const written: string[] = [];
    const run = async (line: string, env: object = {}) => {
      const output = await runLine(line, { cwd: made, env: { ...user.env, ...env } });
      written.push(output);
      return output;
    };
    await run('sallyport check --config gateway.yaml');
    const created = await runLine(
      'sallyport token create --user ci --ttl 1h --config gateway.yaml 2> /dev/null',
      {
        ...user,
        cwd: made,
      },
    );
    const robot = secret(created.trim());
    const explained = await run('printf %s "$TOKEN" | sallyport explain --config gateway.yaml', {
      TOKEN: robot,
    });
    expect(explained).toContain('robot:ci');

    const listen = '--listen 127.0.0.1:0 --admin-listen 127.0.0.1:0';
    await using gateway = startLine(`sallyport serve --config gateway.yaml ${listen}`, {
      ...user,
      cwd: made,
    });
    const url = await gateway.waitFor(/"url":"([^"]+)".*"msg":"listening"/);
    // The Redis is new.
    await run('sallyport revoke --all --config gateway.yaml');
    const tls = (name: string) => readFile(join(made, 'kube-apiserver', name), 'utf8');
    const [authority, certificate, key] = await Promise.all([
      tls('ca.crt'),
      tls('client.crt'),
      tls('client.key'),
    ]);
    using client = http2Client(url, { authority, certificate, key });
    const nameOf = async (token: string) => (await review(client, token)).user?.username;
    const names = [await nameOf(first), await nameOf(robot), await nameOf('near-token')];
    expect(names).toEqual(['first-try', 'robot:ci', 'near-user']);
    await run('sallyport block --user robot:ci --for 1h --config gateway.yaml');
    expect(await review(client, robot)).toEqual({ authenticated: false });
    expect(findLeaks(written.join(''), secretsInUse())).toEqual([]);
  });

  test.each([
    ['by its name', {}, 'sallyport'],
    ['by SALLYPORT_COMMAND', { SALLYPORT_COMMAND: 'npx sallyport' }, 'npx sallyport'],
  ])('shows in its hints how it is called: %s', async (_how, variables, command) => {
    const env = {
      ...variables,
      PATH: [programs, dirname(process.execPath), process.env.PATH].join(delimiter),
    };
    expect(await runLine('sallyport explain --help', { cwd: folder, env })).toContain(
      `\n  ${command} explain\n`,
    );
  });
});

test('by the commands of docs/install/README.md', async () => {
  const page = 'docs/install/README.md';
  const pattern = 'sallyport-[agr]*.tgz';
  const lines = (await commandsIn(page, 'npx -y pnpm@10 install')).split('\n');
  // This file has done the steps before.
  expect(lines.slice(1, 3)).toEqual([
    ...(await guideLines('pack')),
    `npm install --global --prefix /usr/local ~/sallyport-packages/${pattern}`,
  ]);
  const tooling = ['kubectl-sallyport', '@sallyport/create-authenticator', '@sallyport/plugin-kit'];
  const needed = [...tarballs].filter(([name]) => !tooling.includes(name));
  expect(globSync(pattern, { cwd: dirname(needed[0]?.[1] ?? '') }).sort()).toEqual(
    needed.map(([, file]) => basename(file)).sort(),
  );
  const user = await userOf('apps/gateway');
  expect(await runLine(lines.at(-1) ?? '', user)).toContain('Usage: sallyport');
  const made = join(user.cwd, 'made');
  secret(
    /"token":"([^"]+)"/.exec(await runLine('sallyport init made --host 127.0.0.1', user))?.[1] ??
      '',
  );
  const start = (await commandsIn(page, 'node --disable-sigusr1')).replace('/etc/sallyport', made);
  const listen = '--listen 127.0.0.1:0 --admin-listen 127.0.0.1:0';
  await using gateway = startLine(`exec ${start} ${listen}`, { ...user, cwd: packed.plugin });
  await gateway.waitFor(/"msg":"(listening)"/);
});

test('kubectl-sallyport installs from its one file, by the command of docs/install/README.md', async () => {
  const file = tarballs.get('kubectl-sallyport') ?? '';
  const line = await commandsIn(
    'docs/install/README.md',
    'npm install --global --prefix /usr/local ./kubectl-sallyport',
  );
  const prefix = join(await temporaryFolder('person'), 'prefix');
  const env = await npmEnvironment(await temporaryFolder('npm'), '');
  await runLine(line.replace('/usr/local', prefix), { cwd: dirname(file), env });
  const version = await runLine(`'${prefix}/bin/kubectl-sallyport' --version`, {
    cwd: folder,
    env,
  });
  expect(file).toContain(`-${version.trim()}.tgz`);
});

test('kubectl-sallyport is found by kubectl, reads a kubeconfig and asks a server, on the lowest Node', async () => {
  const execInfo = {
    apiVersion: 'client.authentication.k8s.io/v1',
    kind: 'ExecCredential',
    spec: {
      interactive: false,
      cluster: { config: { login: 'https://127.0.0.1:1', cluster: 'prod' } },
    },
  };
  const user = await userOf('packages/kubectl-sallyport');
  const run = (line: string) => runProgram('sh', ['-c', line], user);
  const manifest = await readFile(
    join(programs, '../lib/node_modules/kubectl-sallyport/package.json'),
    'utf8',
  );
  const { version, dependencies } = JSON.parse(manifest);
  expect(dependencies).toBeUndefined();
  expect(await run('kubectl sallyport --version')).toMatchObject({
    code: 0,
    stdout: `${version}\n`,
  });
  const noContext = {
    code: 2,
    stderr: expect.stringContaining('there is no kubeconfig'),
  };
  expect(await run('kubectl sallyport whoami')).toMatchObject(noContext);
  const away = { code: 3, stderr: expect.stringContaining("can't reach the login server") };
  expect(await run('kubectl sallyport init https://127.0.0.1:1')).toMatchObject(away);
  // An old Node warns of new features. There is nothing but the message.
  const notLoggedIn = {
    code: 1,
    stderr: expect.stringMatching(
      /^kubectl-sallyport: not logged in .*\n {2}fix: run: kubectl sallyport login .*\n$/,
    ),
  };
  const info = `KUBERNETES_EXEC_INFO='${JSON.stringify(execInfo)}'`;
  expect(await run(`${info} kubectl-sallyport token`)).toMatchObject(notLoggedIn);
});

test('a plugin in TypeScript passes its script for types, which are complete in all packages', async () => {
  const author = packed.plugin;
  // The zod of the author would hide that these options do not depend on it.
  expect(
    readdirSync(join(folder, 'prefix/lib/node_modules/@sallyport/plugin-kit/node_modules')),
  ).toContain('zod');
  const file = join(author, 'src/plugin.ts');
  await writeFile(
    file,
    `import type { AuthenticatorPlugin } from '@sallyport/authenticator';
import { conformanceCases } from '@sallyport/authenticator/conformance';
import ldap from '@sallyport/authenticator-ldap';
import tokens from '@sallyport/authenticator-redis';
import jwt from '@sallyport/authenticator-jwt';
import fixed from '@sallyport/authenticator-static';
import webhook from '@sallyport/authenticator-webhook';
import { duration, section } from '@sallyport/plugin-kit';
import { connect } from '@sallyport/redis-connection';
import { connectionShape } from '@sallyport/redis-connection/options';
export const plugins: readonly string[] = [ldap, tokens, jwt, fixed, webhook].map(({ name }) => name);
export const schema = section({ timeout: duration('For each attempt.') }, '{ timeout: 1s }', (keys) => keys);
export type Create = AuthenticatorPlugin<{ readonly timeout: number }>['create'];
export const used = [conformanceCases, connect, connectionShape];
`,
  );
  // The script of the created plugin checks this file with those that the generator made. No type needs a browser.
  const env = await npmEnvironment(await temporaryFolder('npm'), '');
  try {
    await runLine('npm run types -- --lib es2024,esnext.disposable', { cwd: author, env });
  } finally {
    await rm(file);
  }
});

test('the commands for packages that are not on npm make a plugin that passes its tests', async () => {
  expect(await guideLines('pack')).toEqual(['npx -y pnpm@10 pack:all ~/sallyport-packages']);
  expect(packed.tested).toMatch(/\n. fail 0\n/);
});

test('a plugin that was made by these commands is packed with what it needs, and works by its name elsewhere', async () => {
  const { plugin } = packed;
  const packages = dirname([...tarballs.values()][0] ?? '');
  const lines = [...(await guideLines('rename')), ...(await guideLines('elsewhere'))].map((line) =>
    line.replaceAll('~/sallyport-packages', packages),
  );
  const env = await npmEnvironment(await temporaryFolder('npm'), 'prefer-offline=true\n');
  await runLine(lines.join(' && '), { cwd: plugin, env });
  const [archive = ''] = globSync('acme-sallyport-tickets-*.tgz', { cwd: plugin });
  const { stdout: listing } = await promisify(execFile)('tar', ['-tzf', join(plugin, archive)]);
  expect(listing.trim().split('\n').sort()).toEqual([
    'package/README.md',
    'package/dist/index.d.ts',
    'package/dist/index.js',
    'package/package.json',
  ]);
  const manifest = JSON.parse(await readFile(join(plugin, 'package.json'), 'utf8'));
  expect(JSON.stringify(manifest)).not.toContain('file:');
  expect(manifest.private).toBeUndefined();
  const elsewhere = join(plugin, '../gateway');
  const options = { url: 'http://127.0.0.1:1' };
  const config = { authenticators: [{ name: 'tickets', use: '@acme/sallyport-tickets', options }] };
  await writeFile(join(elsewhere, 'gateway.yaml'), stringify(config));
  const user = await userOf('apps/gateway');
  const { stdout } = await runProgram('sh', ['-c', 'sallyport check --config gateway.yaml'], {
    ...user,
    cwd: elsewhere,
  });
  expect(stdout).toMatch(/^config +ok /m);
  expect(stdout).toMatch(
    /^authenticator tickets +(ok +@acme\/sallyport-tickets: |error .* \(@acme\/sallyport-tickets\) )/m,
  );
});

const checkJavaScript = [
  ...[
    '--ignoreConfig',
    '--noEmit',
    '--allowJs',
    '--checkJs',
    '--strict',
    '--module',
    'nodenext',
    '--target',
    'es2024',
  ],
  ...['--typeRoots', join(rootFolder, 'node_modules/@types'), '--types', 'node'],
  ...['src/index.js', 'src/index.test.js', 'src/ticket-server.js'],
];

/** Finds the commands in a text, as a user pastes them. */
const commandsOf = (text: string) =>
  [...text.matchAll(/^ {2}((?:cd|npm|npx) .*)$/gm)].map(([, line = '']) => line);

/** Replaces the ports that all such folders have by free ones. */
async function moveToFreePorts(plugin: string): Promise<void> {
  const ports = new Map(
    await Promise.all(
      ['8080', '8081', '9099'].map(async (port) => [port, await freePort()] as const),
    ),
  );
  for (const file of globSync(['sallyport.yaml', 'src/*'], { cwd: plugin })) {
    const text = await readFile(join(plugin, file), 'utf8');
    await writeFile(
      join(plugin, file),
      text.replaceAll(/\b(8080|8081|9099)\b/g, (port) => `${ports.get(port)}`),
    );
  }
}

/** The commands of the guide. */
const [create = '', ...install] = await guideLines('outside');
const [backend = '', gateway = ''] = [
  ...(await guideLines('backend')),
  ...(await guideLines('gateway')),
];
const allPassed = /\n. pass [4-9]\d\n. fail 0\n. cancelled 0\n. skipped 0\n/;

describe('packages on npm make a plugin', () => {
  let registry: NpmRegistry;
  let env: Record<string, string>;
  let plugin: string;
  let printed: string;
  let tested: string;

  /** Runs `npm create`. @returns what it wrote */
  async function createIn(cwd: string, command: string): Promise<string> {
    await mkdir(cwd);
    const output = await runLine(command, { cwd, env });
    await moveToFreePorts(join(cwd, 'tickets'));
    return output;
  }

  beforeAll(async () => {
    registry = await startNpmRegistry(tarballs);
    // The question whether to install create-authenticator is answered as by a user: with yes.
    env = await npmEnvironment(folder, `${registry.npmrc}yes=true\nprefer-offline=true\n`);
    const cwd = join(folder, 'typescript');
    plugin = join(cwd, 'tickets');
    printed = await createIn(cwd, create);
    tested = await runLine(install.join(' && '), { cwd, env });
  });
  afterAll(() => registry[Symbol.asyncDispose]());

  test('in TypeScript, with the commands of the guide, which are those that it prints', async () => {
    expect(commandsOf(printed)).toEqual([...install, backend, gateway]);
    expect(tested).toMatch(allPassed);
  });

  test('that answers a review, with the commands of the guide', async () => {
    const setup = { cwd: plugin, env };
    await using tickets = startLine(backend, setup);
    await using serving = startLine(gateway, setup);
    await serving.waitFor(/"msg":"(listening)"/);
    const line = await tickets.waitFor(/^ {2}(curl .*)$/m);
    const answer = JSON.parse(await runLine(line, setup));
    expect(answer.status).toEqual({
      authenticated: true,
      user: { username: 'alice', groups: ['developers'] },
    });
    const foreign = JSON.stringify({
      ...answer,
      spec: { token: 'of someone else' },
      status: undefined,
    });
    const refused = await runLine(line.replace(/-d '.*'/, `-d '${foreign}'`), setup);
    expect(JSON.parse(refused).status).toEqual({ authenticated: false });
  });

  test('in JavaScript, that passes its tests, has types, and packs what it needs', async () => {
    const option = '-- --language js';
    const cwd = join(folder, 'javascript');
    await createIn(cwd, `${create} ${option}`);
    const inJavaScript = join(cwd, 'tickets');
    const dependenciesOf = async (one: string) => {
      const { dependencies, devDependencies } = JSON.parse(
        await readFile(join(one, 'package.json'), 'utf8'),
      );
      return { ...dependencies, ...devDependencies };
    };
    // This test needs nothing that is not installed for the plugin in TypeScript.
    expect(await dependenciesOf(plugin)).toMatchObject(await dependenciesOf(inJavaScript));
    await symlink(join(plugin, 'node_modules'), join(inJavaScript, 'node_modules'));
    expect(await runLine('npm test', { cwd: inJavaScript, env })).toMatch(allPassed);
    await promisify(execFile)(join(rootFolder, 'node_modules/.bin/tsc'), checkJavaScript, {
      cwd: inJavaScript,
    });
    const archives: { files: { path: string }[] }[] = JSON.parse(
      await runLine('npm pack --json --silent', { cwd: inJavaScript, env }),
    );
    expect(archives[0]?.files.map(({ path }) => path).sort()).toEqual([
      'README.md',
      'package.json',
      'src/index.js',
    ]);
  });
});
