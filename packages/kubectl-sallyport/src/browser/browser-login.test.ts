import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { describe, expect, test } from 'vitest';
import {
  browserLoginServer,
  codePath,
  installOpener,
  visit,
} from '../testing/browser-login-server.ts';
import { createClient, execInfo } from '../testing/client.ts';

const textOf = (shown: string) => shown.replaceAll(/\s+/g, ' ');

/** A person with a display, and the server where they log in. */
async function desk(home: string, options?: Parameters<typeof browserLoginServer>[0]) {
  const server = await browserLoginServer(options);
  const client = createClient(home);
  const opener = await installOpener(home);
  const { env } = opener;
  const plugin = {
    ...env,
    ...execInfo({ login: server.url, cluster: 'prod' }),
  };
  return { server, client, opener, env, plugin };
}

test('login opens the page of the server, and the browser brings the code', async () => {
  await using home = await temporaryFolder('browser');
  const { server, client, env, opener } = await desk(home.path);
  const running = client.run(['login', '--device', 'laptop', ...server.words], env);
  const login = await server.login();
  const code = server.confirm(login);
  const page = await visit(login.port, codePath(login, code));
  expect([page.status, page.headers.location]).toEqual([303, `${server.url}/login/done/logged-in`]);
  const { code: status, stdout, stderr } = await running;
  expect([status, stdout]).toEqual([
    0,
    expect.stringMatching(/^logged in to cluster prod as corp:ada until 2999-.*\n$/),
  ]);
  const [, url] = /^Your browser opens this URL:\n {2}(\S+)\n/m.exec(stderr) ?? [];
  expect(await opener.firstOpened()).toBe(`1 ${url}`);
  expect(login).toMatchObject({ device: 'laptop', cluster: 'prod' });
  expect(Object.keys(login).sort()).toEqual(['challenge', 'cluster', 'device', 'id', 'port']);
  expect(server.redeemed).toEqual([expect.objectContaining({ id: login.id, device: 'laptop' })]);
  expect(stdout + stderr + url).not.toMatch(new RegExp(`${code}|sps_`));
  await expect(visit(login.port)).rejects.toThrow('ECONNREFUSED');
  const answer = await client.run(['token', ...server.words]);
  expect(JSON.parse(answer.stdout).status.token).toBe('sps_browser');
});

describe('at a terminal', () => {
  const withCode =
    'stty -g > before; $PLUGIN login WORDS > answer; echo $? > code; stty -g > after';

  async function atTerminal(
    home: string,
    { server, client }: Awaited<ReturnType<typeof desk>>,
    env: Readonly<Record<string, string>>,
    words = '',
  ) {
    const line = withCode.replace('WORDS', `${server.words.join(' ')} ${words}`);
    const run = client.terminal(line, env);
    const login = await server.login();
    await waitFor(() => /Code[^\n]*: $/.test(run.shown()), 'the question');
    const end = async () => {
      await run.ended;
      const [code, before, after, answer] = await Promise.all(
        ['code', 'before', 'after', 'answer'].map((name) => readFile(join(home, name), 'utf8')),
      );
      expect(after).toBe(before);
      expect((await readdir(client.cache)).filter((name) => /lock|tmp/.test(name))).toEqual([]);
      return { code: Number(code), answer };
    };
    return { run, login, end };
  }

  test('without a display, the user pastes the code, and is told what is wrong with another one', async () => {
    await using home = await temporaryFolder('browser');
    const all = await desk(home.path, { ways: { browser: true, passwords: false } });
    const proposed = { SALLYPORT_USERNAME: 'ada' };
    const { run, login, end } = await atTerminal(home.path, all, proposed, '--device laptop');
    // The URL to copy is short.
    expect(Object.keys(login).sort()).toEqual(['challenge', 'cluster', 'id']);
    expect(run.shown()).toMatch(/Open this URL in a browser on any machine:\r\n {2}http:\S+\r\n/);
    run.type('hello\r');
    await waitFor(() => run.shown().includes('in the form XXXX-XXXX-XXXX-XXXX'), 'the first hint');
    expect(all.server.requests).toEqual(['GET /v1/clusters', 'POST /v1/logins']);
    run.type(`${'A'.repeat(16)}\r`);
    await waitFor(() => run.shown().includes('refused this code.'), 'the second');
    const code = all.server.confirm(login).toLowerCase().replaceAll('0', 'o').replaceAll('1', 'l');
    run.type(` ${code.replaceAll(/.{4}(?=.)/g, '$&-')} \r`);
    expect(await end()).toEqual({
      code: 0,
      answer: expect.stringMatching(/^logged in to cluster prod as corp:ada /),
    });
    expect(all.server.redeemed.at(-1)).toMatchObject({ device: 'laptop' });
    expect(await all.opener.opened()).toEqual([]);
    // The prompt that was answered does not count.
    expect((await readdir(all.client.cache)).filter((name) => name.endsWith('.prompts'))).toEqual(
      [],
    );
  });

  test('the browser is quicker than a paste, and the terminal is as before', async () => {
    await using home = await temporaryFolder('browser');
    const all = await desk(home.path);
    const { run, login, end } = await atTerminal(home.path, all, all.env);
    run.type('abc');
    await visit(login.port, codePath(login, all.server.confirm(login)));
    expect(await end()).toMatchObject({ code: 0 });
    expect(run.shown()).not.toContain('noise');
  });

  test('a paste is quicker than the browser', async () => {
    await using home = await temporaryFolder('browser');
    const all = await desk(home.path);
    const { run, login, end } = await atTerminal(home.path, all, all.env, '--print-url');
    expect(login.port).toBeGreaterThan(0);
    run.type(`${all.server.confirm(login)}\r`);
    expect(await end()).toMatchObject({ code: 0 });
    expect(await all.opener.opened()).toEqual([]);
  });

  test.each([
    { what: 'Ctrl-C', key: '\x03', problem: 'interrupted: not logged in' },
    { what: 'Ctrl-D', key: '\x04', problem: 'there was no answer: not logged in' },
  ])('$what ends it', async ({ key, problem }) => {
    await using home = await temporaryFolder('browser');
    const all = await desk(home.path);
    const line = `trap '' INT; ${withCode.replace('$PLUGIN login WORDS', `$PLUGIN login ${all.server.words.join(' ')}`)}`;
    const run = all.client.terminal(line, all.env);
    const { port } = await all.server.login();
    await waitFor(() => run.shown().includes('Code, if the page shows one: '), 'the question');
    run.type(key);
    await run.ended;
    expect(await readFile(join(home.path, 'code'), 'utf8')).toBe('130\n');
    expect(await readFile(join(home.path, 'after'), 'utf8')).toBe(
      await readFile(join(home.path, 'before'), 'utf8'),
    );
    expect(run.shown()).toContain(`kubectl-sallyport: ${problem}`);
    await expect(visit(port)).rejects.toThrow('ECONNREFUSED');
  });

  test('--browser says that there is no display, and the user pastes the code', async () => {
    await using home = await temporaryFolder('browser');
    const all = await desk(home.path);
    const { run, login, end } = await atTerminal(home.path, all, {}, '--browser');
    expect(run.shown()).toContain('There is no display here to open a browser\r\n');
    run.type(`${all.server.confirm(login)}\r`);
    expect(await end()).toMatchObject({ code: 0 });
  });

  test('a program that is missing leaves the URL and the question', async () => {
    await using home = await temporaryFolder('browser');
    const all = await desk(home.path);
    const PATH = '/nonexistent';
    const run = all.client.terminal(`PATH=${PATH}; $PLUGIN login ${all.server.words.join(' ')}`, {
      DISPLAY: ':1',
    });
    const login = await all.server.login();
    await waitFor(() => run.shown().includes('Code, if the page shows one: '), 'the question');
    const shown = textOf(run.shown());
    expect(shown).toMatch(
      /warning: can't open a browser: xdg-open is not installed fix: open this URL yourself: http:\S+ Log in to cluster prod at \S+ Open this URL in your browser: http:/,
    );
    run.type(`${all.server.confirm(login)}\r`);
    expect(await run.ended).toBe(0);
  });

  test('kubectl asks three times in 15m, and opens one window', async () => {
    await using home = await temporaryFolder('browser');
    const { client, plugin, opener, server } = await desk(home.path);
    const info = { ...plugin, ...execInfo({ login: server.url, cluster: 'prod' }, true) };
    for (let time = 0; time < 3; time++) {
      const run = client.terminal('trap "" INT; $PLUGIN token', info);
      const login = await server.login(time);
      await waitFor(() => run.shown().includes('Code, if the page shows one: '), 'the question');
      const isFirst = time === 0;
      expect(run.shown().includes('Your browser opens this URL:')).toBe(isFirst);
      await visit(login.port, `/?cancelled=${login.id}`);
      expect(await run.ended).toBe(1);
      expect(run.shown()).toContain('the login was cancelled in the browser');
    }
    const fourth = client.terminal('$PLUGIN token', info);
    expect(await fourth.ended).toBe(1);
    expect(fourth.shown()).toContain('three prompts led to no login in 15m');
    expect(await opener.opened()).toHaveLength(1);
  });
});

/** What the plugin writes to standard error. */
const adaIsIn = expect.stringMatching(/^logged in to cluster prod as corp:ada until 2999-.+\n$/);

describe('as a plugin without a terminal', () => {
  test('it opens a browser, says who logged in, and does not open another one without a login', async () => {
    await using home = await temporaryFolder('browser');
    const { client, server, env, plugin, opener } = await desk(home.path);
    const first = client.run(['token'], plugin);
    const login = await server.login();
    await opener.firstOpened();
    await visit(login.port, `/?cancelled=${login.id}`);
    expect(await first).toEqual({
      code: 1,
      stdout: '',
      stderr:
        'kubectl-sallyport: not logged in to cluster prod, and the login was cancelled in the browser\n' +
        `  fix: run: kubectl sallyport login --url ${server.url} --cluster prod\n`,
    });
    const again = await client.run(['token'], plugin);
    expect([again.code, again.stdout, again.stderr]).toEqual([
      1,
      '',
      expect.stringContaining(
        'and the browser that kubectl started in the last 15m led to no login\n',
      ),
    ]);
    // A user who runs the command may try again, and a success counts for kubectl as well.
    const typedLogin = client.run(['login', ...server.words], env);
    const second = await server.login(1);
    await visit(second.port, codePath(second, server.confirm(second)));
    expect(await typedLogin).toMatchObject({ code: 0 });
    expect(await client.run(['logout', ...server.words])).toMatchObject({ code: 0 });
    const third = client.run(['token'], plugin);
    const last = await server.login(2);
    await visit(last.port, codePath(last, server.confirm(last)));
    expect(await third).toEqual({ code: 0, stdout: expect.any(String), stderr: adaIsIn });
    // The login does not wait for what it starts.
    await expect.poll(() => opener.opened()).toHaveLength(3);
  });

  test('two at the same time open one window, and both get the session', async () => {
    await using home = await temporaryFolder('browser');
    const { client, server, plugin, opener } = await desk(home.path);
    const run = (name: string) => client.terminal(`$PLUGIN token < /dev/null > ${name}`, plugin);
    const first = run('first');
    const login = await server.login();
    const second = run('second');
    await waitFor(() => second.shown().includes('waiting for the login'), 'the second');
    await visit(login.port, codePath(login, server.confirm(login)));
    expect(await Promise.all([first.ended, second.ended])).toEqual([0, 0]);
    for (const name of ['first', 'second']) {
      const { status } = JSON.parse(await readFile(join(home.path, name), 'utf8'));
      expect(status.token).toBe('sps_browser');
    }
    expect(await opener.opened()).toHaveLength(1);
    expect(first.shown().replaceAll('\r', '')).toEqual(adaIsIn);
  });

  test.each([
    { what: 'SALLYPORT_BROWSER=never', words: [], env: { SALLYPORT_BROWSER: 'never' } },
    { what: '--no-browser', words: ['--no-browser'], env: {} },
    { what: 'no display', words: [], env: { DISPLAY: '' } },
    { what: 'SSH', words: [], env: { SSH_CONNECTION: '192.0.2.1 1 192.0.2.2 22' } },
  ])('$what opens nothing, and no server is asked', async ({ words, env }) => {
    await using home = await temporaryFolder('browser');
    const { client, server, plugin } = await desk(home.path);
    const { code, stderr } = await client.run(['token', ...words], { ...plugin, ...env });
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining('there is no terminal to ask for a password\n  fix: run: kubectl'),
    ]);
    expect(server.requests).toEqual([]);
  });

  test('a cache folder that can not be written opens nothing', async () => {
    await using home = await temporaryFolder('browser');
    const { client, server, plugin, opener } = await desk(home.path);
    await writeFile(join(home.path, 'file'), '');
    const env = { ...plugin, KUBECACHEDIR: join(home.path, 'file') };
    const { code, stderr } = await client.run(['token'], env);
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining('only if the cache folder can be written'),
    ]);
    expect(await opener.opened()).toEqual([]);
    expect(server.begun).toHaveLength(1);
  });

  test.each([
    {
      what: 'a server that is down',
      options: { status: 503 },
      env: {},
      problem: 'it answered 503',
    },
    {
      what: 'a missing program',
      options: {},
      env: { PATH: '/nonexistent' },
      problem: 'xdg-open is not installed',
    },
  ])('$what does not count as a window', async ({ options, env, problem }) => {
    await using home = await temporaryFolder('browser');
    const { client, server, plugin, opener } = await desk(home.path, options);
    for (let time = 0; time < 2; time++) {
      const { stderr } = await client.run(['token'], { ...plugin, ...env });
      expect(stderr).toContain(problem);
    }
    expect(server.begun).toHaveLength(2);
    expect(await opener.opened()).toEqual([]);
  });

  test('a window that another process has just opened is the only one', async () => {
    await using home = await temporaryFolder('browser');
    const { client, server, plugin, opener } = await desk(home.path, {
      onBegin: () => client.beginWindow({ url: server.url, cluster: 'prod' }),
    });
    const { code, stderr } = await client.run(['token'], plugin);
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining("can't open a browser: another kubectl has opened one\n"),
    ]);
    expect(await opener.opened()).toEqual([]);
  });

  test('a window counts while it is open, so that a process that is killed has opened it', async () => {
    await using home = await temporaryFolder('browser');
    const { client, server, plugin, opener } = await desk(home.path);
    const run = client.terminal('echo $$ > pid; exec $PLUGIN token < /dev/null', plugin);
    await opener.firstOpened();
    process.kill(Number(await readFile(join(home.path, 'pid'), 'utf8')), 'SIGKILL');
    await run.ended;
    expect((await client.run(['token'], plugin)).stderr).toContain('led to no login\n');
    expect(server.begun).toHaveLength(1);
  });

  test('--print-url opens no window, so none is counted', async () => {
    await using home = await temporaryFolder('browser');
    const { client, server, plugin } = await desk(home.path);
    const first = client.run(['token', '--print-url'], plugin);
    const begun = await server.login();
    await visit(begun.port, `/?cancelled=${begun.id}`);
    expect((await first).stderr).toContain('the login was cancelled in the browser');
    // A window that another command has opened is no reason either.
    client.beginWindow({ url: server.url, cluster: 'prod' });
    const second = client.run(['token', '--print-url'], plugin);
    const again = await server.login(1);
    await visit(again.port, `/?cancelled=${again.id}`);
    expect((await second).stderr).toContain('the login was cancelled in the browser');
  });

  test('a program that is missing or fails ends it', async () => {
    await using home = await temporaryFolder('browser');
    const server = await browserLoginServer();
    const client = createClient(home.path);
    const plugin = execInfo({ login: server.url, cluster: 'prod' });
    const missing = await client.run(['token'], { ...plugin, DISPLAY: ':1', PATH: home.path });
    expect([missing.code, missing.stderr]).toEqual([
      1,
      expect.stringContaining("can't open a browser: xdg-open is not installed\n  fix: run: "),
    ]);
    await using other = await temporaryFolder('browser');
    const { env } = await installOpener(other.path, 'exit 3');
    const failing = await createClient(other.path).run(['token'], { ...plugin, ...env });
    expect([failing.code, failing.stderr]).toEqual([
      1,
      expect.stringContaining("can't open a browser: xdg-open failed with exit status 3\n"),
    ]);
  });
});

test('a server that gives little time ends the login with the command to run', async () => {
  await using home = await temporaryFolder('browser');
  const { client, server, plugin } = await desk(home.path, { seconds: -1 });
  expect(await client.run(['token'], plugin)).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(
      /no one logged in with the browser within \dm\n {2}fix: run: kubectl sallyport login/,
    ),
  });
  expect(server.begun).toHaveLength(1);
});

test('five codes that the server refuses end the login, and codes of others do not', async () => {
  await using home = await temporaryFolder('browser');
  const { client, server, env } = await desk(home.path);
  const running = client.run(['login', ...server.words], env);
  const { port, id } = await server.login();
  const foreign = codePath({ id: 'b'.repeat(16) }, 'B'.repeat(16));
  for (let time = 0; time < 8; time++) await visit(port, foreign);
  for (const letter of 'abcd') {
    const path = codePath({ id }, letter.repeat(16));
    expect((await visit(port, path)).headers.location).toMatch(/\/login\/done\/code-refused$/);
    // A page that is loaded again asks for nothing.
    await visit(port, path);
  }
  await visit(port, codePath({ id }, 'e'.repeat(16)));
  expect(await running).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('the login server refused 5 codes\n  fix: run: '),
  });
  expect(server.requests.filter((one) => one === 'POST /v1/sessions')).toHaveLength(5);
});

test('of many codes at the same time, the server is asked about five', async () => {
  await using home = await temporaryFolder('browser');
  const { client, server, env } = await desk(home.path);
  const running = client.run(['login', ...server.words], env);
  const { port, id } = await server.login();
  const codes = [...'ABCDEFGH0234'].map((letter) => letter.repeat(16));
  await Promise.allSettled(codes.map((code) => visit(port, codePath({ id }, code))));
  expect(await running).toMatchObject({ code: 1 });
  expect(server.requests.filter((one) => one === 'POST /v1/sessions')).toHaveLength(5);
});

test('a server that offers no logins with a browser any more is named', async () => {
  await using home = await temporaryFolder('browser');
  const { client, server, env } = await desk(home.path, { status: 404 });
  const { code, stderr } = await client.run(['login', ...server.words], env);
  expect([code, stderr]).toEqual([
    2,
    expect.stringContaining("it doesn't offer logins with a browser"),
  ]);
});

test('another user than the account of the context is refused, and their session ended', async () => {
  await using home = await temporaryFolder('browser');
  const { client, server, env } = await desk(home.path, { user: 'corp:bob' });
  const running = client.run(['login', '--username', 'ada', ...server.words], env);
  const login = await server.login();
  expect(login.username).toBe('ada');
  const page = await visit(login.port, codePath(login, server.confirm(login)));
  expect([page.status, page.html]).toEqual([
    403,
    expect.stringContaining(
      'This login is for ada, but corp:bob logged in. Start again in the terminal or tool, and log in as ada.',
    ),
  ]);
  const { code, stderr } = await running;
  expect([code, stderr]).toEqual([
    1,
    expect.stringContaining(
      'kubectl-sallyport: this login is for ada, but corp:bob logged in: this session was ended\n' +
        `  fix: log in as ada in the browser. For another account, run: kubectl sallyport init ${server.url} prod --username NAME\n`,
    ),
  ]);
  expect(server.requests.at(-1)).toBe('DELETE /v1/session');
  expect((await readdir(client.cache)).filter((name) => name.endsWith('.json'))).toEqual([]);
});

test.each([
  ['Ada@example.com', 'oidc:ada@example.com', undefined],
  ['ADA', 'ada', undefined],
  ['ada', 'https://id.example/#ada', undefined],
  ['ada', 'corp/ada', undefined],
  ['ada', 'corp|ada', undefined],
  ['ada', 'EXAMPLE\\ada', 'EXAMPLE\\ada'],
  ['ada@example.com', 'corp:ada', 'Ada@Example.com'],
  ['EXAMPLE\\ada', 'corp:ada', 'example\\ada'],
])('the account %s accepts %s, for which %s was typed', async (wanted, user, typed) => {
  await using home = await temporaryFolder('browser');
  const { client, server, env } = await desk(home.path, { user, login: typed });
  const words = ['--username', wanted, ...server.words];
  const running = client.run(['login', '--print-url', ...words], env);
  const login = await server.login();
  await visit(login.port, codePath(login, server.confirm(login)));
  expect(await running).toMatchObject({ code: 0 });
  expect((await client.run(['token', ...words])).code).toBe(0);
});

test.each([
  { wanted: 'jane', user: 'corp:adm-jane', typed: undefined },
  { wanted: 'jane', user: 'corp:adm-jane', typed: 'adm-jane' },
  { wanted: 'jane', user: 'corp:jane2', typed: 'jane2' },
  { wanted: 'jane', user: 'corp:mary.jane', typed: undefined },
  { wanted: 'jane@example.com', user: 'corp:jane', typed: 'jane' },
])(
  'the account $wanted does not accept $user, for which $typed was typed',
  async ({ wanted, user, typed }) => {
    await using home = await temporaryFolder('browser');
    const { client, server, env } = await desk(home.path, { user, login: typed });
    const running = client.run(
      ['login', '--print-url', '--username', wanted, ...server.words],
      env,
    );
    const login = await server.login();
    await visit(login.port, codePath(login, server.confirm(login)));
    expect((await running).stderr).toContain(`this login is for ${wanted}, but ${user} logged in`);
    expect(server.requests.at(-1)).toBe('DELETE /v1/session');
  },
);

test('SALLYPORT_USERNAME fills the form in, and another account is as good', async () => {
  await using home = await temporaryFolder('browser');
  const { client, server, env, plugin, opener } = await desk(home.path, { user: 'corp:bob' });
  const proposed = { SALLYPORT_USERNAME: 'ada' };
  const running = client.run(['token'], { ...plugin, ...proposed });
  const login = await server.login();
  await opener.firstOpened();
  expect(login.username).toBe('ada');
  await visit(login.port, codePath(login, server.confirm(login)));
  expect(await running).toMatchObject({
    code: 0,
    stderr: expect.stringMatching(/^logged in to cluster prod as corp:bob until 2999-.+\n$/),
  });
  // The session is for the next commands with this proposal, and not for another account that they need.
  expect(await client.run(['token'], { ...plugin, ...proposed })).toMatchObject({ code: 0 });
  const typed = { ...env, ...proposed };
  expect(await client.run(['whoami', ...server.words], typed)).toMatchObject({ code: 0 });
  const others = [
    [['--username', 'ada'], {}],
    [[], { SALLYPORT_USERNAME: 'eve' }],
    // The password in a file is for the account in the variable.
    [[], { SALLYPORT_PASSWORD_FILE: '/nonexistent' }],
  ] as const;
  for (const [words, changes] of others) {
    const whoami = ['whoami', ...words, ...server.words];
    const { stderr } = await client.run(whoami, { ...typed, ...changes });
    expect(stderr).toContain('not logged in to cluster prod');
  }
  expect(server.begun).toHaveLength(1);
});

describe('another person than at the last login', () => {
  /** Logs in once as corp:ada. Then corp:mallory, who has read the URL in the list of processes, comes first. */
  async function overtaken(home: string) {
    const all = await desk(home);
    const { server, client, env } = all;
    const login = async (words: readonly string[], variables: Readonly<Record<string, string>>) => {
      const running = client.run(words, variables);
      const begun = await server.login(server.begun.length);
      const page = await visit(begun.port, codePath(begun, server.confirm(begun)));
      return { page, ...(await running) };
    };
    expect((await login(['login', ...server.words], env)).code).toBe(0);
    expect((await client.run(['logout', ...server.words])).code).toBe(0);
    server.changeUser('corp:mallory', 'mallory');
    return { ...all, login };
  }

  test('is refused, their session is ended, and the message says what to run', async () => {
    await using home = await temporaryFolder('browser');
    const { server, client, plugin, login } = await overtaken(home.path);
    const { page, code, stdout, stderr } = await login(['token'], plugin);
    expect([page.status, page.html]).toEqual([
      403,
      expect.stringContaining('This login is for corp:ada, but corp:mallory logged in.'),
    ]);
    expect([code, stdout, stderr]).toEqual([
      1,
      '',
      'kubectl-sallyport: corp:mallory logged in, but the last login to cluster prod on this machine was corp:ada: this session was ended\n' +
        '  fix: log in as corp:ada. If you are corp:mallory, because you use another account or yours was renamed, ' +
        `run: SALLYPORT_USERNAME=mallory kubectl sallyport login --url ${server.url} --cluster prod\n`,
    ]);
    expect(server.requests.at(-1)).toBe('DELETE /v1/session');
    expect((await readdir(client.cache)).filter((name) => name.endsWith('.json'))).toEqual([]);
  });

  test('is refused by login as well, and even if SALLYPORT_USERNAME names a third one', async () => {
    await using home = await temporaryFolder('browser');
    const { server, env, login } = await overtaken(home.path);
    const words = ['login', ...server.words];
    for (const variables of [env, { ...env, SALLYPORT_USERNAME: 'eve' }])
      expect((await login(words, variables)).stderr).toContain('corp:mallory logged in, but the');
  });

  test('gets in with the command of the message, and is the person to expect from then on', async () => {
    await using home = await temporaryFolder('browser');
    const { server, client, env, plugin, login } = await overtaken(home.path);
    const { stderr } = await login(['token'], plugin);
    const [, name = '', command = ''] =
      /run: SALLYPORT_USERNAME=(\S+) kubectl sallyport (.+)\n/.exec(stderr) ?? [];
    const told = await login(command.split(' '), { ...env, SALLYPORT_USERNAME: name });
    expect(told).toMatchObject({ code: 0, stdout: expect.stringContaining('as corp:mallory') });
    expect((await client.run(['logout', ...server.words])).code).toBe(0);
    expect((await login(['token'], plugin)).code).toBe(0);
    server.changeUser('corp:ada');
    expect((await client.run(['logout', ...server.words])).code).toBe(0);
    expect((await login(['token'], plugin)).stderr).toContain('was corp:mallory: this session');
  });

  test('runs login --username in a context of the kubeconfig', async () => {
    await using home = await temporaryFolder('browser');
    const { server, client, env, plugin, login } = await overtaken(home.path);
    const KUBECONFIG = join(home.path, 'config');
    await writeFile(
      KUBECONFIG,
      `{clusters: [{name: c, cluster: {server: 'https://kube.example.com', extensions: [{name: client.authentication.k8s.io/exec, extension: {login: '${server.url}', cluster: prod}}]}}],
        users: [{name: u, user: {exec: {command: kubectl-sallyport, args: [token]}}}],
        contexts: [{name: c, context: {cluster: c, user: u}}], current-context: c}`,
    );
    const asPlugin = { ...plugin, KUBECONFIG };
    expect((await login(['token'], asPlugin)).stderr).toContain(
      'run: kubectl sallyport login --username mallory\n',
    );
    const typed = { ...env, KUBECONFIG };
    expect((await login(['login', '--username', 'mallory'], typed)).code).toBe(0);
    expect(await client.run(['token'], asPlugin)).toMatchObject({ code: 0, stderr: '' });
  });

  test('who typed a name and a password at the terminal was told', async () => {
    await using home = await temporaryFolder('browser');
    const { server, client, env, login } = await overtaken(home.path);
    await writeFile(join(home.path, 'password'), 'accepted');
    const file = { SALLYPORT_PASSWORD_FILE: join(home.path, 'password') };
    const typed = { ...env, ...file, SALLYPORT_USERNAME: 'mallory' };
    expect((await client.run(['login', ...server.words], typed)).code).toBe(0);
    expect((await login(['login', ...server.words], env)).code).toBe(0);
  });
});

test('--username is required even if SALLYPORT_USERNAME is set', async () => {
  await using home = await temporaryFolder('browser');
  const { client, server, env } = await desk(home.path, { user: 'corp:bob' });
  const words = ['--print-url', '--username', 'ada', ...server.words];
  const running = client.run(['login', ...words], { ...env, SALLYPORT_USERNAME: 'bob' });
  const login = await server.login();
  expect(login.username).toBe('ada');
  await visit(login.port, codePath(login, server.confirm(login)));
  expect((await running).stderr).toContain('this login is for ada, but corp:bob logged in');
});

test('a failure waits for a code that the server has, and its session is used', async () => {
  await using home = await temporaryFolder('browser');
  const redeemed = Promise.withResolvers<void>();
  const { client, server, env } = await desk(home.path, { answered: redeemed.promise });
  const line = `$PLUGIN login ${server.words.join(' ')} > answer`;
  const run = client.terminal(line, env);
  const login = await server.login();
  await waitFor(() => run.shown().endsWith('Code, if the page shows one: '), 'the question');
  const page = visit(login.port, codePath(login, server.confirm(login)));
  await waitFor(() => server.requests.includes('POST /v1/sessions'), 'the code');
  await visit(login.port, `/?cancelled=${login.id}`);
  await waitFor(() => run.shown().endsWith('shows one: \r\n'), 'the end of the question');
  // A code that comes now would come to a session that no one waits for.
  expect((await visit(login.port, codePath(login, server.confirm(login)))).status).toBe(500);
  redeemed.resolve();
  expect((await page).headers.location).toMatch(/\/login\/done\/logged-in$/);
  expect(await run.ended).toBe(0);
  expect(await readFile(join(home.path, 'answer'), 'utf8')).toMatch(/^logged in to cluster prod /);
  expect(server.requests.filter((one) => one === 'POST /v1/sessions')).toHaveLength(1);
});

test.each([
  { what: 'a file', answer: { url: 'file:///etc/passwd' } },
  { what: 'an option', answer: { url: '--version' } },
  { what: 'another server', answer: { url: 'https://evil.example/login/x' } },
  { what: 'a number', answer: { url: 7 } },
  { what: 'no ID', answer: { id: undefined } },
  { what: 'an ID that is a pattern', answer: { id: '.*' } },
  { what: 'no time', answer: { expiresAt: 'tomorrow' } },
])('a server whose answer has $what opens nothing', async ({ answer }) => {
  await using home = await temporaryFolder('browser');
  const { client, server, env, opener } = await desk(home.path, { answer });
  expect(await client.run(['login', ...server.words], env)).toEqual({
    code: 3,
    stdout: '',
    stderr: expect.stringContaining('it does not answer as a login server'),
  });
  expect(await opener.opened()).toEqual([]);
});

test.each([
  {
    words: ['--browser'],
    ways: {},
    problem: "it doesn't offer logins with a browser\n  fix: leave out --browser",
  },
  {
    words: ['--print-url'],
    ways: { browser: false },
    problem: "it doesn't offer logins with a browser",
  },
  {
    words: ['--no-browser'],
    ways: { browser: true, passwords: false },
    problem: "it doesn't accept passwords",
  },
])('login $words at a server with $ways fails, and says why', async ({ words, ways, problem }) => {
  await using home = await temporaryFolder('browser');
  const { client, server, env } = await desk(home.path, { ways });
  const terminal = client.terminal(`$PLUGIN login ${[...server.words, ...words].join(' ')}`, env);
  expect(await terminal.ended).toBe(2);
  expect(textOf(terminal.shown())).toContain(textOf(problem));
  expect(server.begun).toEqual([]);
});

test('a server of an earlier version needs a terminal, and gets a password', async () => {
  await using home = await temporaryFolder('browser');
  const { client, server, env } = await desk(home.path, { ways: {} });
  const { code, stderr } = await client.run(['login', ...server.words], env);
  expect([code, stderr]).toEqual([
    2,
    expect.stringContaining('standard input is not a terminal, so no password can be typed'),
  ]);
  const terminal = client.terminal(`trap '' INT; $PLUGIN login ${server.words.join(' ')}`, env);
  await waitFor(() => terminal.shown().includes('Username'), 'the prompt');
  terminal.type('\x03');
  expect(await terminal.ended).toBe(130);
  expect(server.requests).toEqual(['GET /v1/clusters', 'GET /v1/clusters']);
});

test.each([
  {
    words: ['--browser', '--print-url'],
    problem: "--browser and --print-url can't be used together",
  },
  {
    words: ['--no-browser', '--browser'],
    problem: "--browser and --no-browser can't be used together",
  },
  { words: ['--browser', '--password-stdin'], problem: '--browser is for a login without' },
  {
    words: ['--print-url'],
    problem: 'there is no display for a browser, and standard input is not a terminal',
  },
])('login $words is refused', async ({ words, problem }) => {
  await using home = await temporaryFolder('browser');
  const server = await browserLoginServer();
  const result = await createClient(home.path).run(['login', ...words, ...server.words]);
  expect(result).toEqual({ code: 2, stdout: '', stderr: expect.stringContaining(problem) });
  expect(server.requests).toEqual([]);
});

test('a password in a file needs no browser', async () => {
  await using home = await temporaryFolder('browser');
  const { client, server, plugin } = await desk(home.path);
  await writeFile(join(home.path, 'password'), 'secret');
  const env = { ...plugin, SALLYPORT_PASSWORD_FILE: join(home.path, 'password') };
  const { code } = await client.run(['token', '--username', 'ada'], env);
  expect([code, server.requests]).toEqual([1, ['POST /v1/sessions']]);
});
