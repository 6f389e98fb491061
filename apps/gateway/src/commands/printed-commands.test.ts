import { expect, test } from 'vitest';
import type { Start } from './context.ts';
import { commandLine, commandLineOfOther, tokenCommandLine } from './printed-commands.ts';

const installed: Start = {
  environment: {},
  script: '/usr/bin/sallyport',
  isCheckout: false,
  host: 'gw-1',
};
const checkout: Start = {
  ...installed,
  script: '/src/apps/gateway/src/sallyport.js',
  isCheckout: true,
};
const pod: Start = { ...installed, environment: { KUBERNETES_SERVICE_HOST: '10.0.0.1' } };

test.each([
  ['installed', installed, 'sallyport'],
  ['a bundle that is run by its path', { ...installed, script: '/opt/sallyport.js' }, 'sallyport'],
  [
    'installed in a folder',
    { ...installed, script: '/srv/gw/node_modules/.bin/sallyport' },
    'npx sallyport',
  ],
  ['a checkout', checkout, 'npx -y pnpm@10 sallyport'],
  [
    'a script of a checkout',
    { ...checkout, script: '/src/node_modules/.bin/sallyport' },
    'npx -y pnpm@10 sallyport',
  ],
  ['a link to a checkout', { ...checkout, script: '/usr/local/bin/sallyport' }, 'sallyport'],
  ['a pod', pod, 'kubectl exec gw-1 -- sallyport'],
  [
    'a checkout in a pod',
    { ...checkout, environment: pod.environment },
    'kubectl exec gw-1 -- sallyport',
  ],
])('%s', (_name, start, program) => {
  expect(commandLine(start, ['blocks'])).toBe(`${program} blocks`);
});

test.each([
  [commandLine(pod, ['unblock', '--token']), true],
  [tokenCommandLine(pod, ['token', 'hash', '--user', 'jane']), true],
  [commandLine(pod, ['unblock', '--user', '--token-x']), false],
  [commandLine(pod, ['token', 'list']), false],
])('%s has a terminal if a token is read: %j', (line, hasTerminal) => {
  expect(line.includes(' -it ')).toBe(hasTerminal);
});

test('another account runs a checkout without pnpm', () => {
  const direct = `${process.execPath} ${checkout.script} check --config a.yaml`;
  expect(commandLineOfOther(checkout, ['check'], 'a.yaml')).toBe(direct);
  expect(commandLineOfOther(installed, ['check'], 'a.yaml')).toBe(
    'sallyport check --config a.yaml',
  );
});

test('words are quoted for a shell, and --config is repeated as it was given', () => {
  expect(commandLine(installed, ['unblock', '--user', "corp:o'neil $x"], '../my config.yaml')).toBe(
    String.raw`sallyport unblock --user 'corp:o'\''neil $x' --config '../my config.yaml'`,
  );
});

test('the config that is used anyway is not named', () => {
  const file = '/etc/sallyport/gateway.yaml';
  expect(commandLine(installed, ['check'], file)).toBe('sallyport check');
  const other = { ...installed, environment: { SALLYPORT_CONFIG: '/srv/gateway.yaml' } };
  expect(commandLine(other, ['check'], file)).toBe(`sallyport check --config ${file}`);
});

const helpdesk: Start = {
  ...installed,
  environment: { SALLYPORT_HELPDESK: 'sudo -u sallyport sallyport-helpdesk' },
};

test.each([
  [['unlock', '--user', 'corp:jane'], 'unlock corp:jane'],
  [['unlock', '--user', "corp:o'neil $x"], String.raw`unlock 'corp:o'\''neil $x'`],
  [['revoke', '--user', '--exact', '--authenticator', 'sessions'], 'logout --exact'],
  [['block', '--user', 'corp:jane', '--for', '8h'], 'block corp:jane REASON'],
  [
    ['block', '--user', 'corp:jane', '--for', '8h', '--reason', 'stolen laptop'],
    "block corp:jane 'stolen laptop'",
  ],
  [['token', 'list', '--authenticator', 'sessions', '--user', 'corp:jane'], 'sessions corp:jane'],
  [['lockouts'], 'lockouts'],
  [['blocks'], 'blocks'],
])('for the helpdesk, %j is a command of its script', (words, own) => {
  expect(commandLine(helpdesk, words, '/etc/gw.yaml')).toBe(
    `sudo -u sallyport sallyport-helpdesk ${own}`,
  );
});

test('for the helpdesk, an administrator is told which config it is', () => {
  const file = '/etc/sallyport/gateway.yaml';
  expect(commandLine(helpdesk, ['check'], file)).toBe(
    `ask an administrator to run: sallyport check --config ${file}`,
  );
});

test.each([
  [['unblock', '--user', 'corp:jane']],
  [['unlock', '--user', 'jane', '--exact']],
  [['block', '--group', 'corp:ops', '--for', '8h']],
  [['revoke', '--user', 'corp:jane']],
  [['token', 'list', '--user', 'corp:jane', '--authenticator', 'robots']],
  [['constructor']],
])('for the helpdesk, %j is a matter of an administrator', (words) => {
  const line = `sallyport ${words.join(' ')} --config /etc/gw.yaml`;
  expect(commandLine(helpdesk, words, '/etc/gw.yaml')).toBe(`ask an administrator to run: ${line}`);
});
