import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { encode } from 'uqr';
import { expect, test } from 'vitest';
import { createClient } from '../testing/client.ts';
import { appSecret, appUri, converse, factorLoginServer } from '../testing/factor-login-server.ts';
import { localServer } from '../testing/local-server.ts';

const asPassword = [
  ['Username', 'ada'],
  ['Password of ada: ', 'right'],
] as const;
const first = 'Code that the app shows now: ';
const shownSecret = appSecret.match(/.{4}/g)?.join(' ') ?? '';

/** Adds an app on a terminal of this width. Its standard output is in the file `answer`. */
const add = (home: string, url: string, words = '', columns = 80, term = 'xterm') =>
  createClient(home).terminal(
    `trap : INT; stty cols ${columns}; stty -g > before; TERM=${term} $PLUGIN factor add --url ${url} ${words} > answer; echo $? > code; stty -g > after`,
  );

const read = (home: string, name: string) => readFile(join(home, name), 'utf8');

/** Reads the modules of a QR code that a terminal shows as white on black. */
function modulesIn(shown: string): readonly (readonly boolean[])[] {
  const white = '\x1b[38;5;231;48;5;232m';
  const lines = shown.split('\r\n').filter((line) => line.startsWith(white));
  return lines.flatMap((line) => {
    const blocks = [...line.slice(white.length).replace('\x1b[0m', '')];
    return ['█▀', '█▄'].map((light) => blocks.map((block) => !light.includes(block)));
  });
}

test('factor add shows the secret as a QR code and as text, and the recovery codes once', async () => {
  await using home = await temporaryFolder('factor');
  const recoveryCodes = ['abcde-fghij', 'klmno-pqrst'];
  const { url, bodies } = await factorLoginServer({
    codes: ['123456'],
    invitation: 'wxyz',
    recoveryCodes,
    ways: { browser: true },
  });
  const run = add(home.path, url, "--label 'my phone'");
  await converse(run, [
    ...asPassword,
    ['Invitation code (from your administrator): ', 'wrong'],
    ['Invitation code (from your administrator): ', ' wxyz '],
    [first, '000000'],
    ['the code is wrong: correct the clock of the device', '123456'],
  ]);
  await run.ended;
  const shown = run.shown();
  expect([await read(home.path, 'code'), shown.split(`Secret: ${shownSecret}\r\n`).length]).toEqual(
    ['0\n', 2],
  );
  const modules = modulesIn(shown);
  const expected = encode(appUri, { border: 2 }).data;
  // The last line has two rows, and the code an odd number of them.
  expect(modules.slice(0, expected.length)).toEqual(expected);
  expect(shown).toContain('\r\n  abcde-fghij\r\n  klmno-pqrst\r\n');
  expect(shown).toContain('the invitation is wrong\r\n');
  expect(shown).not.toMatch(/otpauth:|wxyz/);
  expect(await read(home.path, 'answer')).toBe(
    'added the second factor phone of ada\n' +
      `  to change your second factors, such as passkeys, open ${url}/login/factors\n`,
  );
  const who = { path: '/v1/factors', username: 'ada', password: 'right', label: 'my phone' };
  expect(bodies).toEqual([
    who,
    { ...who, invitation: 'wrong' },
    { ...who, invitation: 'wxyz' },
    { path: '/v1/factors', enrolment: 'sealed', code: '000000' },
    { path: '/v1/factors', enrolment: 'sealed', code: '123456' },
  ]);
  expect(existsSync(join(home.path, '.cache'))).toBe(false);
});

test.each([
  { columns: 40, term: 'xterm' },
  { columns: 0, term: 'xterm' },
  { columns: 80, term: 'dumb' },
])(
  'on a screen of $columns columns whose type is $term, the secret is text alone, and another app proves who it is',
  async ({ columns, term }) => {
    await using home = await temporaryFolder('factor');
    const { url, bodies } = await factorLoginServer({ methods: ['totp'], codes: ['1', '2'] });
    const run = add(home.path, url, '--username ada', columns, term);
    const code = 'Code (from your authenticator app, or a recovery code): ';
    await converse(run, [
      ['Password of ada: ', 'right'],
      [code, '1'],
      [first, '2'],
    ]);
    await run.ended;
    expect(await read(home.path, 'code'), run.shown()).toBe('0\n');
    expect(run.shown()).toContain(
      `Type this secret in your authenticator app:\r\n\r\n  Secret: ${shownSecret}\r\n`,
    );
    expect(modulesIn(run.shown())).toEqual([]);
    expect(run.shown()).toContain('The recovery codes that you have are still valid.');
    expect(await read(home.path, 'answer')).toBe('added the second factor phone of ada\n');
    expect(bodies.map((body) => body.code)).toEqual([undefined, '1', '2']);
  },
);

test('a user without their app uses an invitation', async () => {
  await using home = await temporaryFolder('factor');
  const user = { methods: ['totp'], invitation: 'abcd', codes: ['1'] };
  const { url, bodies } = await factorLoginServer(user);
  const run = add(home.path, url);
  await converse(run, [
    ...asPassword,
    ['To use an invitation instead, press Enter alone', ''],
    ['Invitation', `${url}/login/factors/abcd `],
    [first, '1'],
  ]);
  await run.ended;
  expect(await read(home.path, 'code'), run.shown()).toBe('0\n');
  expect(bodies.map((body) => body.invitation)).toEqual([undefined, 'abcd', undefined]);
});

test('a wrong password is asked for again, and three wrong first codes end it', async () => {
  await using home = await temporaryFolder('factor');
  const { url } = await factorLoginServer({ invitation: 'abcd' });
  const run = add(home.path, url);
  await converse(run, [
    ['Username', 'ada'],
    ['Password of ada: ', 'wrong'],
    ['wrong name or password', ''],
    ['Password of ada: ', 'right'],
    ['Invitation', 'abcd'],
    ...Array.from({ length: 3 }, () => [first, '000000'] as const),
  ]);
  await run.ended;
  expect(await read(home.path, 'code')).toBe('1\n');
  expect(run.shown()).toContain(`${url}: 3 codes were wrong: no second factor was added\r\n`);
  expect(await read(home.path, 'answer')).toBe('');
});

test('an enrolment that has ended says how to begin again', async () => {
  await using home = await temporaryFolder('factor');
  const { url } = await factorLoginServer({ invitation: 'abcd' });
  const run = add(home.path, url);
  await converse(run, [...asPassword, ['Invitation', 'abcd'], [first, 'late']]);
  await run.ended;
  expect(await read(home.path, 'code')).toBe('1\n');
  expect(run.shown()).toContain(
    `${url}: this took too long: begin again\r\n  fix: run: kubectl sallyport factor add --url ${url}\r\n`,
  );
});

test('a first code that is refused without a reason is not asked for again', async () => {
  await using home = await temporaryFolder('factor');
  const expiresAt = '2999-01-01T00:00:00Z';
  const begun = { secret: appSecret, uri: appUri, enrolment: 'sealed', expiresAt };
  const url = await localServer(async (request, response) => {
    if (request.method === 'GET') return response.end('{"clusters": [], "secondFactor": true}');
    if ((await text(request)).includes('sealed')) return response.writeHead(401).end('<html>');
    return response.end(JSON.stringify(begun));
  });
  const run = add(home.path, url);
  await converse(run, [...asPassword, [first, '1']]);
  await run.ended;
  expect(await read(home.path, 'code'), run.shown()).toBe('1\n');
  expect(run.shown()).toContain(
    `${url}: the request was refused (wrong-credentials)\r\n  fix: ask your administrator\r\n`,
  );
  expect(run.shown().split(first)).toHaveLength(2);
});

test.each([
  { what: 'the invitation', more: [], last: 'Invitation' },
  { what: 'the first code', more: [['Invitation', 'abcd']], last: first },
] as const)(
  'Ctrl-C at $what adds nothing, and the terminal is as before',
  async ({ more, last }) => {
    await using home = await temporaryFolder('factor');
    const { url, bodies } = await factorLoginServer({ invitation: 'abcd' });
    const run = add(home.path, url);
    await converse(run, [...asPassword, ...more]);
    await waitFor(() => run.shown().includes(last), last);
    run.type('\x03');
    await run.ended;
    expect([await read(home.path, 'code'), await read(home.path, 'answer')]).toEqual(['130\n', '']);
    expect(await read(home.path, 'after')).toBe(await read(home.path, 'before'));
    expect(run.shown()).toContain('interrupted: no second factor was added\r\n');
    expect(bodies.filter((body) => body.enrolment !== undefined)).toEqual([]);
    expect(existsSync(join(home.path, '.cache'))).toBe(false);
  },
);

test('a user who has a passkey alone gets the page', async () => {
  await using home = await temporaryFolder('factor');
  const { url } = await factorLoginServer({ methods: ['passkey'], ways: { browser: true } });
  const run = add(home.path, url);
  await converse(run, asPassword);
  await run.ended;
  expect(await read(home.path, 'code')).toBe('1\n');
  expect(run.shown()).toContain(`  fix: add the app on this page: ${url}/login/factors\r\n`);
});

const refusing = (status: number, code: string) =>
  localServer(({ method }, response) => {
    if (method === 'POST') response.writeHead(status).end(JSON.stringify({ code, message: 'no' }));
    else response.end('{"clusters": [], "secondFactor": true, "browser": true}');
  });

test('a server that takes passkeys alone, and no app, gets the user to its page', async () => {
  await using home = await temporaryFolder('factor');
  const url = await refusing(404, 'no-second-factor');
  const run = add(home.path, url);
  await converse(run, asPassword);
  await run.ended;
  expect(run.shown()).toContain(`${url}: no\r\n  fix: to add a passkey, open ${url}/login/factors`);
});

async function inScript(words: readonly string[], ways: object = {}) {
  await using home = await temporaryFolder('factor');
  const { url, bodies } = await factorLoginServer({ ways });
  const result = await createClient(home.path).run(['factor', ...words, '--url', url]);
  expect([bodies, result.stdout]).toEqual([[], '']);
  return { ...result, stderr: result.stderr.replaceAll(url, 'URL') };
}

test.each([
  {
    what: 'a server without second factors',
    words: ['add'],
    ways: { secondFactor: undefined },
    problem: 'URL: it has no second factors',
  },
  {
    what: 'no terminal',
    words: ['add'],
    ways: {},
    problem: 'there is no terminal to ask for a password',
  },
  {
    what: 'an invitation that other users could read',
    words: ['add', '--invitation=x'],
    ways: {},
    problem: 'there is no option --invitation',
  },
  {
    what: 'a label that moves the cursor',
    words: ['add', '--label', '\x1b[2J'],
    ways: {},
    problem: '--label has over 64 characters',
  },
  {
    what: 'a label that is too long',
    words: ['add', '--label', 'x'.repeat(65)],
    ways: {},
    problem: '--label has over 64',
  },
  { what: 'nothing to do', words: [], ways: {}, problem: 'unknown subcommand factor --url' },
  {
    what: 'something else to do',
    words: ['fly'],
    ways: {},
    problem: 'unknown subcommand factor fly',
  },
])('factor with $what is refused', async ({ words, ways, problem }) => {
  const { code, stderr } = await inScript(words, ways);
  expect([code, stderr]).toEqual([2, expect.stringContaining(`kubectl-sallyport: ${problem}`)]);
});

test('with standard error in a file, the secret is on the terminal alone', async () => {
  await using home = await temporaryFolder('factor');
  const { url } = await factorLoginServer({ invitation: 'abcd', codes: ['1'] });
  const run = createClient(home.path).terminal(
    `$PLUGIN factor add --url ${url} > answer 2> errors`,
  );
  await converse(run, [...asPassword, ['Invitation', 'abcd'], [first, '1']]);
  expect(await run.ended).toBe(0);
  expect(run.shown()).toContain(shownSecret);
  expect((await read(home.path, 'answer')) + (await read(home.path, 'errors'))).toBe(
    'added the second factor phone of ada\n',
  );
});

test('without a terminal for its output, there is no question and no secret', async () => {
  await using home = await temporaryFolder('factor');
  const { url, bodies } = await factorLoginServer({ invitation: 'abcd' });
  // It has no controlling terminal, so there is none behind standard error either.
  const run = createClient(home.path).terminal(
    `setsid --wait $PLUGIN factor add --url ${url} 2> errors`,
  );
  expect(await run.ended).toBe(2);
  expect(await read(home.path, 'errors')).toContain('there is no terminal');
  expect(bodies).toEqual([]);
});

test('a secret that a terminal would obey is not shown', async () => {
  await using home = await temporaryFolder('factor');
  const url = await localServer(({ method }, response) => {
    const secret = { secret: `${appSecret}\x1b[2J`, uri: appUri, enrolment: 'x' };
    response.end(
      JSON.stringify(
        method === 'POST'
          ? { ...secret, expiresAt: '2999-01-01T00:00:00Z' }
          : { clusters: [], secondFactor: true },
      ),
    );
  });
  const run = add(home.path, url);
  await converse(run, asPassword);
  await run.ended;
  expect(await read(home.path, 'code')).toBe('3\n');
  expect(run.shown()).toContain(`${url}: it does not answer as a login server`);
  expect(run.shown()).not.toContain(shownSecret.slice(0, 9));
});
