import { readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterAll, expect, test } from 'vitest';
import { type Client, createClient, execInfo, type TerminalRun } from './testing/client.ts';

/** A server of an earlier version, which is away when it gets a password. */
const server = createServer((request, response) => {
  if (request.url === '/v1/clusters') response.end('{"clusters":[]}');
  else request.socket.destroy();
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
afterAll(() => void server.close());
const config = {
  login: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  cluster: 'prod',
};
const target = { url: config.login, cluster: 'prod' };

/** The settings of the terminal before and after the command, its exit code, and whether Ctrl-C reached the shell. */
const between =
  'trap "echo reached > signal" INT; stty -g > before; $PLUGIN token > answer; echo $? > code; stty -g > after';

const read = (home: string, name: string) => readFile(join(home, name), 'utf8');

async function atPrompt(
  client: Client,
  line = between,
  env = execInfo(config, true),
): Promise<TerminalRun> {
  const run = client.terminal(line, env);
  await waitFor(() => run.shown().includes('Username'), 'the prompt');
  return run;
}

/** Finds the process that waits at the prompt: it has the lock. */
async function processAtPrompt(client: Client): Promise<number> {
  return waitFor(async () => {
    const lock = (await readdir(client.cache)).find((name) => name.endsWith('.lock'));
    const text = lock && (await read(client.cache, lock));
    return text ? (JSON.parse(text).pid as number) : undefined;
  }, 'the lock');
}

async function expectAsBefore(home: string, client: Client, code: string) {
  expect(await read(home, 'after')).toBe(await read(home, 'before'));
  expect([await read(home, 'code'), await read(home, 'answer')]).toEqual([`${code}\n`, '']);
  expect((await readdir(client.cache)).filter((name) => !name.endsWith('.prompts'))).toEqual([]);
}

test('the prompt says where the password goes, and shows nothing of it', async () => {
  await using home = await temporaryFolder('prompt');
  const client = createClient(home.path);
  const run = await atPrompt(client);
  expect(run.shown()).toContain(`Log in to cluster prod at ${config.login}\r\n`);
  run.type('adx\x7fa\r');
  await waitFor(() => run.shown().includes('Password of ada: '), 'the second prompt');
  run.type('pass\x7fword\r');
  await run.ended;
  expect(run.shown()).toContain('Password of ada: \r\n');
  expect(run.shown()).not.toMatch(/pass|word\r|\*/);
  await expectAsBefore(home.path, client, '3');
  expect(run.shown()).toContain(
    `kubectl-sallyport: ${config.login}: can't reach the login server: socket hang up`,
  );
});

test('the prompt for a second cluster says why it asks, and offers the name that was typed for the first', async () => {
  await using home = await temporaryFolder('prompt');
  const client = createClient(home.path);
  const { url } = target;
  client.cacheSession({ url, cluster: 'old', account: 'eve' }, { left: -1 });
  client.cacheSession({ url: 'https://127.0.0.1:2', cluster: 'elsewhere', account: 'eve' });
  const at = async (cluster: string) => {
    const run = await atPrompt(client, between, execInfo({ ...config, cluster }, true));
    run.type('\x03');
    await run.ended;
    return run.shown().split('\r\n').slice(0, -2);
  };
  // A session that has ended says the name, and no more.
  expect(await at('staging')).toEqual([`Log in to cluster staging at ${url}`, 'Username [eve]: ']);
  client.cacheSession({ url, cluster: 'prod' });
  expect(await at('staging')).toEqual([
    `Log in to cluster staging at ${url}`,
    'Each cluster needs a login of its own. You stay logged in to prod',
    'Username [ada]: ',
  ]);
  // No one typed the name of a login in the browser, and the directory does not know its prefix.
  const file = client.cacheSession({ url, cluster: 'new' });
  const session = JSON.parse(await readFile(file, 'utf8'));
  const ofBrowser = { ...session, username: 'oidc:bob', user: 'oidc:bob', proposal: '' };
  await writeFile(file, JSON.stringify(ofBrowser));
  expect((await at('staging')).at(-1)).toBe('Username [ada]: ');
});

test('a name and a password that are pasted together are both taken, and neither is shown by the terminal', async () => {
  await using home = await temporaryFolder('prompt');
  const client = createClient(home.path);
  const run = await atPrompt(client);
  run.type('ada\rsecret\r');
  await run.ended;
  expect(run.shown()).toContain(': ada\r\nPassword of ada: \r\n');
  expect(run.shown()).not.toContain('secret');
  await expectAsBefore(home.path, client, '3');
});

test.each([
  { what: 'Ctrl-C at the name', keys: ['\x03'] },
  { what: 'Ctrl-C at the password', keys: ['ada\r', '\x03'] },
  { what: 'Ctrl-D at the name', keys: ['\x04'] },
])(
  '$what ends it, the terminal is as before, and kubectl, which would run the plugin again, has it',
  async ({ keys }) => {
    await using home = await temporaryFolder('prompt');
    const client = createClient(home.path);
    const run = await atPrompt(client);
    const [first = '', second] = keys;
    run.type(first);
    if (second !== undefined) {
      await waitFor(() => run.shown().includes('Password'), 'the second prompt');
      run.type(second);
    }
    await run.ended;
    await expectAsBefore(home.path, client, '130');
    expect(await read(home.path, 'signal')).toBe('reached\n');
    expect(run.shown()).toMatch(
      /kubectl-sallyport: (interrupted|there was no answer): not logged in/,
    );
  },
);

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
  '%s at the prompt leaves the terminal as before',
  async (signal) => {
    await using home = await temporaryFolder('prompt');
    const client = createClient(home.path);
    const run = await atPrompt(client);
    process.kill(await processAtPrompt(client), signal);
    await run.ended;
    await expectAsBefore(home.path, client, '130');
  },
);

test('after three prompts that no one answered there is no fourth, but login still asks', async () => {
  await using home = await temporaryFolder('prompt');
  const client = createClient(home.path);
  const third = await atPrompt(client);
  for (let before = 0; before < 2; before++) client.beginPrompt(target);
  // It is killed, so it can't note anything at its end.
  process.kill(await processAtPrompt(client), 'SIGKILL');
  await third.ended;
  const fourth = client.terminal(between, execInfo(config, true));
  await fourth.ended;
  expect(fourth.shown()).not.toContain('Username');
  expect(fourth.shown().replaceAll(/\s+/g, ' ')).toContain(
    'not logged in to cluster prod, and three prompts led to no login in 15m ' +
      `fix: run: kubectl sallyport login --url ${config.login} --cluster prod`,
  );
  const asked = await atPrompt(client, `$PLUGIN login --url ${config.login} --cluster prod`, {});
  asked.type('\x03');
  expect(await asked.ended).toBe(130);
});

test('of several at the same time one asks, and none asks again when that is not answered', async () => {
  await using home = await temporaryFolder('prompt');
  const client = createClient(home.path);
  const first = await atPrompt(client);
  const others = [1, 2].map((number) =>
    client.terminal(between.replaceAll(/> (\w+)/g, `> $1${number}`), execInfo(config, true)),
  );
  await waitFor(
    () => others.every((run) => run.shown().includes('waiting for the login of another kubectl')),
    'the others',
  );
  first.type('\x03');
  await Promise.all([first, ...others].map(({ ended }) => ended));
  for (const [index, run] of others.entries()) {
    expect(run.shown()).toContain('another kubectl could not log in');
    expect(run.shown()).not.toContain('Username');
    expect(await read(home.path, `code${index + 1}`)).toBe('1\n');
  }
});

test('processes that wait get the session of the process that logged in', async () => {
  await using home = await temporaryFolder('prompt');
  const client = createClient(home.path);
  const first = await atPrompt(client);
  const other = client.terminal('$PLUGIN token > other', execInfo(config, true));
  await waitFor(() => other.shown().includes('waiting'), 'the other');
  client.cacheSession(target, { token: 'sp_new' });
  first.type('\x03');
  expect(await other.ended).toBe(0);
  expect(JSON.parse(await read(home.path, 'other')).status.token).toBe('sp_new');
  await first.ended;
});

test('with standard error in a file, the question is on the terminal', async () => {
  await using home = await temporaryFolder('prompt');
  const client = createClient(home.path);
  const run = await atPrompt(client, '$PLUGIN token 2> errors');
  run.type('\x03');
  await run.ended;
  expect(await read(home.path, 'errors')).toMatch(/^kubectl-sallyport: interrupted/);
});

test.each([
  { what: 'kubectl says that it is not interactive', words: 'token', env: execInfo(config, false) },
  { what: 'standard input is a file', words: 'token < /dev/null', env: execInfo(config, true) },
])('nothing is asked when $what', async ({ words, env }) => {
  await using home = await temporaryFolder('prompt');
  await writeFile(join(home.path, 'code'), '');
  const run = createClient(home.path).terminal(`$PLUGIN ${words}`, env);
  expect(await run.ended).toBe(1);
  expect(run.shown().replaceAll(/\s+/g, ' ')).toContain(
    `there is no terminal to ask for a password fix: run: kubectl sallyport login --url ${config.login} --cluster prod`,
  );
});

test('names of a kubeconfig move no cursor', async () => {
  await using home = await temporaryFolder('prompt');
  const client = createClient(home.path);
  const run = await atPrompt(
    client,
    between,
    execInfo({ ...config, cluster: 'prod\x1b[2J\u202e' }, true),
  );
  expect(run.shown()).toContain('Log in to cluster prod\u{fffd}[2J\u{fffd} at');
  run.type('\x03');
  await run.ended;
});

test('a password without a name is refused before it is read', async () => {
  await using home = await temporaryFolder('prompt');
  const client = createClient(home.path);
  const words = 'login --url https://127.0.0.1:1 --cluster prod';
  // A terminal is an input without an end.
  const run = client.terminal(`$PLUGIN ${words} --password-stdin`);
  expect(await run.ended).toBe(2);
  expect(run.shown()).toContain('there is a password but no name');
  const { stderr } = await client.run(words.split(' '), { SALLYPORT_PASSWORD_FILE: '/missing' });
  expect(stderr).toContain('there is a password but no name');
});
