import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import type { Authenticator, AuthenticatorError } from '@sallyport/authenticator';
import { recordingContext } from '@sallyport/authenticator/conformance';
import { freePort } from '@sallyport/test-servers/ports';
import { randomToken } from '@sallyport/test-servers/tokens';
import { beforeAll, describe, expect, test } from 'vitest';
import { runCommand } from '../testing/command.ts';
import { guideBlocks, writeGuide } from '../testing/guide.ts';
import { rootFolder } from '../testing/pnpm.ts';

const run = promisify(execFile);
const blocks = await guideBlocks();

/** The blocks of commands, which `installed.test.ts` and `new-authenticator.test.ts` run. */
const commands = [
  'outside',
  'inside',
  'pack',
  'packed',
  'backend',
  'gateway',
  'rename',
  'elsewhere',
];

let folder: string;
beforeAll(async () => {
  folder = await writeGuide();
});

test('every block is the first plugin, or commands that another test runs', () => {
  expect(blocks.map(({ title }) => title).sort()).toEqual([...commands, 'src/index.ts'].sort());
});

test('the lines of src/index.ts are what npm create writes', async () => {
  const block = blocks.find(({ title }) => title === 'src/index.ts');
  expect(block).toBeDefined();
  expect(await readFile(join(folder, 'src/index.ts'), 'utf8')).toContain(block?.text);
});

test('the code has types, with the strict settings of this repository', async () => {
  const settings = {
    extends: join(rootFolder, 'tsconfig.base.json'),
    compilerOptions: { noEmit: true },
    include: ['src'],
  };
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(settings));
  const { stdout } = await run(join(rootFolder, 'node_modules/.bin/tsc'), [], {
    cwd: folder,
  }).catch((error) => error);
  expect(stdout).toBe('');
});

test('the tests of the guide pass, on its own plugins', async () => {
  // NODE_OPTIONS and NODE_TEST_CONTEXT of a runner would change what it prints.
  const env = { PATH: process.env.PATH, NO_COLOR: '1' };
  const { stdout } = await run(process.execPath, ['--test', 'src/*.test.ts'], {
    cwd: folder,
    env,
  }).catch((error) => error);
  expect(stdout).toMatch(/\n. fail 0\n. cancelled 0\n/);
  const names = (await readdir(join(folder, 'src'))).filter((name) => name.endsWith('.test.ts'));
  expect(names.sort()).toEqual(['index.test.ts', 'users.test.ts']);
  expect(Number(/\n. pass (\d+)\n/.exec(stdout)?.[1])).toBeGreaterThan(names.length * 30);
});

test('sallyport.yaml is a config without a problem', async () => {
  const { stdout } = await runCommand(['check', '--config', 'sallyport.yaml'], { cwd: folder });
  expect(stdout).toMatch(/^config +ok /m);
});

const load = (name: string) => import(pathToFileURL(join(folder, 'src', name)).href);

test('backend.ts stops, hangs and starts a program', async () => {
  const port = await freePort();
  const program = `require('http').createServer((_, response) => response.end('ok')).listen(${port}, '127.0.0.1')`;
  const { startBackend } = await load('backend.ts');
  const backend = await startBackend([process.execPath, '-e', program], port);
  const ask = async (limits: RequestInit = {}) =>
    (await fetch(`http://127.0.0.1:${port}`, limits)).text();
  try {
    expect(await ask()).toBe('ok');
    await backend.hang();
    await expect(ask({ signal: AbortSignal.timeout(300) })).rejects.toThrow(/timeout/);
    await backend.start();
    expect(await ask()).toBe('ok');
    await backend.stop();
    await expect(ask()).rejects.toThrow('fetch failed');
    await backend.start();
    expect(await ask()).toBe('ok');
  } finally {
    await backend.stop();
  }
});

test('a plugin that a compiler wrote as CommonJS is refused with its fix', async () => {
  const compiled = `Object.defineProperty(exports, '__esModule', { value: true });
    exports.default = { specificationVersion: 1, name: 'compiled', caching: 'none', create: async () => ({}) };`;
  await writeFile(join(folder, 'compiled.cjs'), compiled);
  await writeFile(
    join(folder, 'compiled.yaml'),
    'authenticators: [{ name: compiled, use: ./compiled.cjs }]\n',
  );
  const { code, stdout } = await runCommand(['check', '--config', 'compiled.yaml'], {
    cwd: folder,
  });
  expect([code, stdout]).toEqual([
    1,
    expect.stringContaining('is a CommonJS module, with the plugin in its exports.default'),
  ]);
  expect(stdout).toContain(
    '"type": "module" in its package.json, and `export default plugin` in its code',
  );
});

/** Finds what the plugin makes of an answer of a server that answers as `answer` does. */
async function outcomeOfAnswer(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
) {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { default: plugin } = await load('index.ts');
  const { context } = recordingContext({ pluginName: 'tickets', baseDirectory: folder });
  const { port } = server.address() as AddressInfo;
  const authenticator = await plugin.create({ url: `http://127.0.0.1:${port}/api/` }, context);
  const token = `tickets_${randomBytes(16).toString('hex')}`;
  try {
    return await authenticator.authenticate(token, {
      audiences: [],
      signal: new AbortController().signal,
    });
  } catch (error) {
    const { code, message, cause } = error as AuthenticatorError;
    return { code, message: message.replace(`:${port}`, ''), cause };
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

describe('the first plugin', () => {
  const json = { 'content-type': 'application/json' };

  test('asks below the path of its URL', async () => {
    const echo = ({ url }: IncomingMessage, response: ServerResponse) =>
      response.writeHead(200, json).end(JSON.stringify({ username: url, groups: [] }));
    expect(await outcomeOfAnswer(echo)).toEqual({
      kind: 'authenticated',
      user: { username: '/api/owner', groups: [] },
    });
  });

  test.each([
    [
      'a connection that is cut in an answer',
      'unavailable',
      /other side closed.*Is the ticket server up\?$/,
      (_request: IncomingMessage, response: ServerResponse) => {
        response.writeHead(200, { ...json, 'content-length': 40 });
        response.write('{"username":"al', () => response.destroy());
      },
    ],
    [
      'an answer that is not JSON',
      'unavailable',
      /answers no JSON: check the URL$/,
      ({ headers }: IncomingMessage, response: ServerResponse) =>
        response.end(`<p>${headers.authorization}`),
    ],
    [
      'an answer that is not HTTP',
      'unavailable',
      /Response does not match the HTTP\/1\.1 protocol.*Is the ticket server up\?$/,
      ({ headers, socket }: IncomingMessage) =>
        socket.end(`what? ${headers.authorization}\r\n\r\n`),
    ],
    [
      'an answer that is too long',
      'failed',
      /answers with more than 65536 bytes$/,
      (_request: IncomingMessage, response: ServerResponse) => response.end(' '.repeat(2 ** 17)),
    ],
  ])('%s is %s, in words that quote nothing', async (_name, code, words, answer) => {
    const outcome = await outcomeOfAnswer(answer);
    expect(outcome).toEqual({ code, message: expect.stringMatching(words), cause: undefined });
    expect(outcome.message).not.toContain('tickets_');
  });
});

describe('users.ts', () => {
  const tokenOf = (text: string) => `users_${Buffer.from(text).toString('base64url')}`;
  const ask = (authenticator: Authenticator, text: string) =>
    authenticator.authenticate(tokenOf(text), {
      audiences: [],
      signal: new AbortController().signal,
    });

  /** @param work without the schema, so that it may be impossible */
  async function openUsers(work: number) {
    const account = {
      uid: '1',
      groups: [],
      salt: randomToken(),
      hash: randomBytes(32).toString('hex'),
      disabled: false,
    };
    const users = { alice: { ...account, passwordChanged: new Date().toISOString() } };
    await writeFile(join(folder, 'users.json'), JSON.stringify(users), { mode: 0o600 });
    const { default: plugin } = await load('users.ts');
    const recorded = recordingContext({ pluginName: 'users', baseDirectory: folder });
    const authenticator: Authenticator = await plugin.create(
      { usersFile: 'users.json', work },
      recorded.context,
    );
    return { authenticator, recorded };
  }

  // A hash takes most of the time of a login: if there were none for an unknown name, the time would tell which names exist.
  test.each([
    ['alice', [{ subject: 'alice', outcome: 'unavailable' }]],
    ['mallory', []],
  ])(
    'hashes the password of %s, a user or none, and fails when that fails',
    async (name, attempts) => {
      const { authenticator, recorded } = await openUsers(40);
      await expect(ask(authenticator, `${name}:wrong`)).rejects.toThrow();
      expect(recorded.attempts).toMatchObject(attempts);
    },
  );
});
