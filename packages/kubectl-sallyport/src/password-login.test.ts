import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { expect, test } from 'vitest';
import { browserLoginServer } from './testing/browser-login-server.ts';
import { type Client, createClient, execInfo } from './testing/client.ts';
import { converse, factorLoginServer } from './testing/factor-login-server.ts';
import { localServer } from './testing/local-server.ts';

const codeQuestion = 'Code (from your authenticator app, or a recovery code): ';
const asPassword = [
  ['Username', 'ada'],
  ['Password', 'right'],
] as const;

const loginAt = (client: Client, url: string, words = '', env = {}) =>
  client.terminal(`$PLUGIN login --url ${url} --cluster prod ${words}`, env);

test('a login asks for a code if the server requires one, and kubectl gets the session', async () => {
  await using home = await temporaryFolder('factor');
  const client = createClient(home.path);
  const { url, bodies } = await factorLoginServer({ methods: ['totp'], codes: ['123456'] });
  const config = { login: url, cluster: 'prod' };
  const run = client.terminal('$PLUGIN token > answer', execInfo(config, true));
  await converse(run, [...asPassword, [codeQuestion, ' 123456 ']]);
  expect(await run.ended, run.shown()).toBe(0);
  // It is shown as it is typed.
  expect(run.shown()).toContain(`${codeQuestion} 123456 \r\n`);
  expect(run.shown()).not.toContain('passkey');
  const answer = await readFile(join(home.path, 'answer'), 'utf8');
  expect(JSON.parse(answer).status.token).toBe('sps_x');
  expect(bodies.map(({ code }) => code)).toEqual([undefined, '123456']);
  // The prompt led to a login.
  expect((await readdir(client.cache)).filter((name) => name.endsWith('.prompts'))).toEqual([]);
});

test('a login with wrong codes counts as one, and after three of them it begins again', async () => {
  await using home = await temporaryFolder('factor');
  const client = createClient(home.path);
  const { url, bodies } = await factorLoginServer({ methods: ['totp'], codes: ['right'] });
  const run = client.terminal('$PLUGIN token', execInfo({ login: url, cluster: 'prod' }, true));
  const wrong = [codeQuestion, 'wrong'] as const;
  await converse(run, [...asPassword, wrong, wrong, wrong]);
  await converse(run, [['wrong name, password or code', '']]);
  expect(run.shown()).toContain('After several wrong codes, none is checked for some minutes');
  const [prompts = ''] = (await readdir(client.cache)).filter((name) => name.endsWith('.prompts'));
  await waitFor(
    async () => JSON.parse(await readFile(join(client.cache, prompts), 'utf8')).failed.length === 2,
    'the second prompt',
  );
  await converse(run, [['Password of ada: ', 'right']]);
  await waitFor(() => run.shown().split(codeQuestion).length === 5, 'the fourth code');
  run.type('right\r');
  expect(await run.ended, run.shown()).toBe(0);
  const again = 'Each code works once: wait until your app shows the next one';
  expect(run.shown().split(again)).toHaveLength(3);
  expect(bodies.map(({ code }) => code)).toEqual([
    ...[undefined, 'wrong', 'wrong', 'wrong'],
    ...[undefined, 'right'],
  ]);
});

test('wrong passwords of a login that the user started do not silence kubectl', async () => {
  await using home = await temporaryFolder('factor');
  const client = createClient(home.path);
  const { url } = await factorLoginServer({ methods: [], codes: [] });
  const login = loginAt(client, url);
  const wrong = [
    ['Username', 'ada'],
    ['Password', 'wrong'],
  ] as const;
  await converse(login, [...wrong, ...wrong, ...wrong]);
  expect(await login.ended, login.shown()).toBe(1);
  const run = client.terminal('$PLUGIN token', execInfo({ login: url, cluster: 'prod' }, true));
  await waitFor(() => run.shown().includes('Username'), 'the question');
  run.type('\x03');
  expect(await run.ended).toBe(130);
});

test.each([
  { methods: [], question: 'Recovery code: ', hasHint: false },
  { methods: ['totp', 'passkey'], question: codeQuestion, hasHint: true },
])('with the methods $methods it asks: $question', async ({ methods, question, hasHint }) => {
  await using home = await temporaryFolder('factor');
  const { url } = await factorLoginServer({ methods, codes: ['abc-def'] });
  const run = loginAt(createClient(home.path), url);
  await converse(run, [...asPassword, [question, 'abc-def']]);
  expect(await run.ended, run.shown()).toBe(0);
  const hint = `To use your passkey instead, press Ctrl-C and run: kubectl sallyport login --url ${url} --cluster prod --browser\r\n`;
  expect(run.shown().includes(hint)).toBe(hasHint);
});

test.each([
  { what: 'Ctrl-C', key: '\x03', code: 130 },
  { what: 'Enter alone', key: '\r', code: 2 },
])('$what at the code ends it, and nothing is cached', async ({ key, code }) => {
  await using home = await temporaryFolder('factor');
  const client = createClient(home.path);
  const { url } = await factorLoginServer({ methods: ['totp'] });
  const run = loginAt(client, url);
  await converse(run, asPassword);
  await waitFor(() => run.shown().includes(codeQuestion), 'the code');
  run.type(key);
  expect(await run.ended).toBe(code);
  expect(run.shown()).toMatch(
    /(interrupted|the code is empty): not logged in\r\n( {2}fix: .*\r\n)?$/,
  );
  expect((await readdir(client.cache)).filter((name) => name.endsWith('.json'))).toEqual([]);
});

const passkeyAlone = { code: 'second-factor-required', message: 'no', methods: ['passkey'] };

test('a user whose second factor is a passkey goes on in a browser, as one login', async () => {
  await using home = await temporaryFolder('factor');
  const client = createClient(home.path);
  const server = await browserLoginServer({ password: passkeyAlone });
  const info = execInfo({ login: server.url, cluster: 'prod' }, true);
  const run = client.terminal('$PLUGIN token', { ...info, DISPLAY: '' });
  await converse(run, asPassword);
  const login = await server.login();
  // The URL to copy is short.
  expect(login.username).toBeUndefined();
  await waitFor(() => run.shown().includes('Code that the page shows: '), 'the page');
  const files = await readdir(client.cache);
  const [prompts = ''] = files.filter((name) => name.endsWith('.prompts'));
  expect(JSON.parse(await readFile(join(client.cache, prompts), 'utf8')).failed).toHaveLength(1);
  run.type(`${server.confirm(login)}\r`);
  expect(await run.ended, run.shown()).toBe(0);
  expect(run.shown()).toContain('This account logs in with a passkey, which needs a browser\r\n');
});

test.each([
  ['--no-browser', {}, 'run: kubectl sallyport login --url URL --cluster prod --browser'],
  [
    '',
    { ways: { browser: false, passwords: true } },
    'ask your administrator for login.browser: true',
  ],
])(
  'with %j and %j, the message says what a user with a passkey can do',
  async (words, server, fix) => {
    await using home = await temporaryFolder('factor');
    const { url } = await browserLoginServer({ password: passkeyAlone, ...server });
    const run = loginAt(createClient(home.path), url, words);
    await converse(run, asPassword);
    expect(await run.ended).toBe(1);
    expect(run.shown()).toContain(
      `${url}: this account logs in with a passkey, which needs a browser\r\n` +
        `  fix: ${fix.replace('URL', url)}\r\n`,
    );
  },
);

/** Logs in with a password from a file. */
async function inScript(url: string) {
  await using home = await temporaryFolder('factor');
  const password = join(home.path, 'password');
  await writeFile(password, 'right');
  const env = { SALLYPORT_PASSWORD_FILE: password, SALLYPORT_USERNAME: 'ada' };
  return await createClient(home.path).run(['login', '--url', url, '--cluster', 'prod'], env);
}

test.each([{ method: 'totp' }, { method: 'passkey' }])(
  'a script is refused for a user with $method',
  async ({ method }) => {
    const { url, bodies } = await factorLoginServer({ methods: [method] });
    const { code, stdout, stderr } = await inScript(url);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toBe(
      `kubectl-sallyport: ${url}: this account needs a second factor, which a script can't have\n` +
        '  fix: for CI, ask your administrator for a token of its own, or for an account without a second factor. ' +
        `At a terminal, run: kubectl sallyport login --url ${url} --cluster prod\n`,
    );
    expect(bodies).toHaveLength(1);
  },
);

test('a user who must have a second factor and has none reads how to get one, and is not asked again', async () => {
  const { url, bodies } = await factorLoginServer();
  const { code, stderr } = await inScript(url);
  expect([code, stderr]).toEqual([
    1,
    `kubectl-sallyport: ${url}: this user must have a second factor, and has none\n` +
      `  fix: with an invitation, run: kubectl sallyport factor add --url ${url} --cluster prod\n`,
  ]);
  expect(bodies).toHaveLength(1);
});

test.each([
  {
    answer: '{"code": "blood-test-required", "message": "update"}',
    expected:
      'the login was refused (blood-test-required): update\n  fix: update kubectl-sallyport, ',
  },
  {
    answer: '{"code": "wrong-credentials"}',
    expected:
      'wrong name or password, or this user is not allowed to log in to cluster prod\n  fix: check the password, the only text in /',
  },
  // A server of an earlier version, or a proxy.
  { answer: '<html>', expected: 'wrong name or password, ' },
])('a refusal with $answer is explained', async ({ answer, expected }) => {
  const url = await localServer((_request, response) => response.writeHead(401).end(answer));
  const { code, stderr } = await inScript(url);
  expect([code, stderr]).toEqual([1, expect.stringContaining(`${url}: ${expected}`)]);
});
