import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { afterEach, expect, test, vi } from 'vitest';
import { installOpener } from '../testing/browser-login-server.ts';
import { checkedUrl, openBrowser } from './opener.ts';

afterEach(() => void vi.unstubAllEnvs());

const server = 'https://login.example.com:8444';
const ownUrl = `${server}/login/AfLS-_9x`;

test.each([
  { text: ownUrl, url: ownUrl },
  { text: 'https://LOGIN.example.com:8444/login/x', url: `${server}/login/x` },
])('$text is opened as $url', ({ text, url }) => {
  expect(checkedUrl(text, server)).toBe(url);
});

test.each([
  undefined,
  7,
  '',
  'file:///etc/passwd',
  '--version',
  '-a Calculator',
  'javascript:alert(1)',
  'http://login.example.com:8444/login/x',
  'https://login.example.com/login/x',
  'https://login.example.com:8444.evil.example/login/x',
  'https://login.example.com:8444@evil.example/login/x',
  'https://ada:secret@login.example.com:8444/login/x',
  `${server}/logout`,
  `${server}/login/`,
  `${server}/login/../v1/session`,
  `${server}/login/%2e%2e/v1`,
  `${server}/login\\..\\x`,
  `${server}/login/x/y`,
  `${server}/login/x?y=1`,
  `${server}/login/x#y`,
  `${server}/login/x&calc`,
  `${server}/login/x'y`,
  `${server}/login/x y`,
  `${server}/login/${'x'.repeat(9000)}`,
])('%j is not opened', (text) => {
  expect(checkedUrl(text, server)).toBeUndefined();
});

test('a server of this machine needs no TLS, and one below a path has its pages there', () => {
  const local = 'http://127.0.0.1:8444';
  expect(checkedUrl(`${local}/login/x`, local)).toBe(`${local}/login/x`);
  const below = 'https://example.com/sallyport';
  expect(checkedUrl(`${below}/login/x`, below)).toBe(`${below}/login/x`);
  expect(checkedUrl('https://example.com/login/x', below)).toBeUndefined();
});

/** A login that goes on. */
const going = new AbortController().signal;

test('the program gets the URL as its only word, and no stream of this process', async () => {
  await using home = await temporaryFolder('opener');
  const script = `fds=$(ls -l /proc/$$/fd); echo "$fds" > '${home.path}/fds.new'; mv '${home.path}/fds.new' '${home.path}/fds'`;
  const { env, firstOpened } = await installOpener(home.path, script);
  vi.stubEnv('PATH', env.PATH);
  await openBrowser(ownUrl, (reason) => expect.unreachable(reason), going, 'linux');
  expect(await firstOpened()).toBe(`1 ${ownUrl}`);
  const read = () => readFile(join(home.path, 'fds'), 'utf8').catch(() => undefined);
  const streams = (await waitFor(read, 'the program')).matchAll(/ [012] -> (.*)/g);
  expect([...streams].map(([, file]) => file)).toEqual(Array(3).fill('/dev/null'));
});

test.each([
  { platform: 'darwin', program: 'open', words: '1 ' },
  { platform: 'win32', program: 'rundll32', words: '2 url.dll,FileProtocolHandler ' },
] as const)('on $platform, the program is $program', async ({ platform, program, words }) => {
  await using home = await temporaryFolder('opener');
  const { env, firstOpened } = await installOpener(home.path, undefined, program);
  vi.stubEnv('PATH', env.PATH);
  await openBrowser(ownUrl, (reason) => expect.unreachable(reason), going, platform);
  expect(await firstOpened()).toBe(`${words}${ownUrl}`);
});

test('a program that is missing or fails is reported', async () => {
  await using home = await temporaryFolder('opener');
  const reasons: string[] = [];
  vi.stubEnv('PATH', home.path);
  expect(await openBrowser(ownUrl, (reason) => reasons.push(reason), going, 'linux')).toBe(false);
  expect(reasons).toEqual(['xdg-open is not installed']);
  const { env } = await installOpener(home.path, 'exit 3');
  vi.stubEnv('PATH', env.PATH);
  await openBrowser(ownUrl, (reason) => reasons.push(reason), going, 'linux');
  await waitFor(() => reasons.length === 2, 'the end of the program');
  expect(reasons[1]).toBe('xdg-open failed with exit status 3');
});

test('a program that a signal ends is reported with the signal', async () => {
  await using home = await temporaryFolder('opener');
  const reasons: string[] = [];
  const { env } = await installOpener(home.path, 'kill -TERM $$');
  vi.stubEnv('PATH', env.PATH);
  expect(await openBrowser(ownUrl, (reason) => reasons.push(reason), going, 'linux')).toBe(true);
  await waitFor(() => reasons.length > 0, 'the end of the program');
  expect(reasons).toEqual(['xdg-open was ended by SIGTERM']);
});

test('a program that fails after the end of the login is not reported', async () => {
  await using home = await temporaryFolder('opener');
  const script = `mkfifo '${home.path}/end'; echo $$ > '${home.path}/pid.new'; mv '${home.path}/pid.new' '${home.path}/pid'; read -r _ < '${home.path}/end'; exit 2`;
  const { env } = await installOpener(home.path, script);
  vi.stubEnv('PATH', env.PATH);
  const reasons: string[] = [];
  const over = new AbortController();
  await openBrowser(ownUrl, (reason) => reasons.push(reason), over.signal, 'linux');
  const read = () => readFile(join(home.path, 'pid'), 'utf8').catch(() => undefined);
  const pid = Number(await waitFor(read, 'the program'));
  over.abort();
  await writeFile(join(home.path, 'end'), 'now\n');
  // Node reports the end of a process in the step in which its number is free again.
  const hasEnded = () => {
    try {
      process.kill(pid, 0);
      return false;
    } catch {
      return true;
    }
  };
  await waitFor(hasEnded, 'the end of the program');
  expect(reasons).toEqual([]);
});
