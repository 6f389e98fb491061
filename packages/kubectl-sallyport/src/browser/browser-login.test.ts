import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { expect, test } from 'vitest';
import { browserLoginServer, installOpener, visit } from '../testing/browser-login-server.ts';
import { createClient } from '../testing/client.ts';

test('login opens the page of the server, and the browser brings the code', async () => {
  await using home = await temporaryFolder('browser');
  const server = await browserLoginServer();
  const client = createClient(home.path);
  const { env, opened } = await installOpener(home.path);
  const running = client.run(['login', '--device', 'laptop', ...server.words], env);
  const login = await server.login();
  const code = server.confirm(login);
  const page = await visit(login.port, `/?code=${code}`);
  expect([page.status, page.html]).toEqual([
    200,
    expect.stringContaining('You are logged in to cluster prod as corp:ada.'),
  ]);
  const { code: status, stdout, stderr } = await running;
  expect([status, stdout]).toEqual([
    0,
    expect.stringMatching(/^logged in to cluster prod as corp:ada until 2999-/),
  ]);
  const [, url] = /^Your browser opens this URL:\n {2}(\S+)\n/m.exec(stderr) ?? [];
  expect(await opened()).toEqual([`1 ${url}`]);
  expect(login).toMatchObject({ device: 'laptop', cluster: 'prod' });
  expect(Object.keys(login).sort()).toEqual(['challenge', 'cluster', 'device', 'id', 'port']);
  // The program and the user see neither the code nor what it is worth.
  expect(stdout + stderr + (await opened())).not.toMatch(new RegExp(`${code}|sps_`));
  const answer = await client.run(['token', ...server.words]);
  expect(JSON.parse(answer.stdout).status.token).toBe('sps_browser');
});

test('at a terminal without a display, the user pastes the code', async () => {
  await using home = await temporaryFolder('browser');
  const server = await browserLoginServer({ ways: { browser: true, passwords: false } });
  const run = createClient(home.path).terminal(`$PLUGIN login ${server.words.join(' ')}`);
  const login = await server.login();
  expect(login.port).toBeUndefined();
  await waitFor(() => run.shown().includes('Code that the page shows: '), 'the question');
  run.type(`${server.confirm(login)}\r`);
  expect(await run.ended).toBe(0);
  expect(run.shown()).toContain('logged in to cluster prod as corp:ada');
});
