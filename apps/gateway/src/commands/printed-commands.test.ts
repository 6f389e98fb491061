import { expect, test } from 'vitest';
import type { Invocation } from './context.ts';
import { commandLine, commandLineForAccount, exampleText, userWords } from './printed-commands.ts';

const installed: Invocation = {
  environment: {},
  script: '/usr/bin/sallyport',
  isCheckout: false,
};
const checkout: Invocation = {
  ...installed,
  script: '/src/apps/gateway/src/sallyport.js',
  isCheckout: true,
};
const named = (start: Invocation, program: string): Invocation => ({
  ...start,
  environment: { SALLYPORT_COMMAND: program },
});
const withConfig = (start: Invocation, config: string): Invocation => ({ ...start, config });

test.each([
  { name: 'installed', start: installed, program: 'sallyport' },
  { name: 'a checkout', start: checkout, program: 'npx -y pnpm@10 sallyport' },
  { name: 'with an empty SALLYPORT_COMMAND', start: named(installed, ''), program: 'sallyport' },
  {
    name: 'with an invisible SALLYPORT_COMMAND',
    start: named(installed, ' \n'),
    program: 'sallyport',
  },
  { name: 'with a line end', start: named(installed, 'npx sallyport\n'), program: 'npx sallyport' },
  {
    name: 'with a SALLYPORT_COMMAND that a terminal would obey',
    start: named(installed, '\u{1b}[2Jsally\u{202e}port\nserve'),
    program: String.raw`\u{1b}[2Jsally\u{202e}port\u{a}serve`,
  },
  {
    name: 'installed in a folder',
    start: named(installed, 'npx sallyport'),
    program: 'npx sallyport',
  },
  { name: 'a link to a checkout', start: named(checkout, 'sallyport'), program: 'sallyport' },
  {
    name: 'a pod',
    start: named(installed, 'kubectl -n gw exec -it gw-1 -- sallyport'),
    program: 'kubectl -n gw exec -it gw-1 -- sallyport',
  },
])('$name runs $program', ({ start, program }) => {
  expect(commandLine(start, ['blocks'])).toBe(`${program} blocks`);
  expect(exampleText(start, { List: 'blocks' })).toBe(`\nExamples:\n  # List\n  ${program} blocks`);
});

test('another account runs a checkout without pnpm, unless SALLYPORT_COMMAND says how', () => {
  const direct = `${process.execPath} ${checkout.script} check --config a.yaml`;
  expect(commandLineForAccount(withConfig(checkout, 'a.yaml'), ['check'])).toBe(direct);
  expect(commandLineForAccount(withConfig(named(checkout, ' '), 'a.yaml'), ['check'])).toBe(direct);
  expect(commandLineForAccount(withConfig(installed, 'a.yaml'), ['check'])).toBe(
    'sallyport check --config a.yaml',
  );
  expect(commandLineForAccount(withConfig(named(checkout, 'gw'), 'a.yaml'), ['check'])).toBe(
    'gw check --config a.yaml',
  );
});

test('a user is named as they were given', () => {
  expect(userWords('corp:jane')).toEqual(['--user', 'corp:jane']);
  expect(userWords('corp:jane', true)).toEqual(['--user', 'corp:jane', '--exact']);
});

test('words are quoted for a shell, and --config is repeated as it was given', () => {
  expect(
    commandLine(withConfig(installed, '../my config.yaml'), [
      'unblock',
      '--user',
      "corp:o'neil $x",
    ]),
  ).toBe(String.raw`sallyport unblock --user 'corp:o'\''neil $x' --config '../my config.yaml'`);
});

test('the config that is used anyway is not named', () => {
  const file = '/etc/sallyport/gateway.yaml';
  expect(commandLine(withConfig(installed, file), ['check'])).toBe('sallyport check');
  const other = { ...installed, environment: { SALLYPORT_CONFIG: '/srv/gateway.yaml' } };
  expect(commandLine(withConfig(other, file), ['check'])).toBe(`sallyport check --config ${file}`);
});

const helpdesk: Invocation = {
  ...installed,
  environment: { SALLYPORT_HELPDESK: 'sudo -u sallyport sallyport-helpdesk' },
};

test.each([
  { words: ['unlock', '--user', 'corp:jane'], command: 'unlock corp:jane' },
  {
    words: ['unlock', '--user', "corp:o'neil $x"],
    command: String.raw`unlock 'corp:o'\''neil $x'`,
  },
  {
    words: ['revoke', '--user', '--exact', '--authenticator', 'sessions'],
    command: 'logout --exact',
  },
  { words: ['block', '--user', 'corp:jane', '--for', '8h'], command: 'block corp:jane REASON' },
  {
    words: ['block', '--user', 'corp:jane', '--for', '8h', '--reason', 'stolen laptop'],
    command: "block corp:jane 'stolen laptop'",
  },
  {
    words: ['token', 'list', '--authenticator', 'sessions', '--user', 'corp:jane'],
    command: 'sessions corp:jane',
  },
  { words: ['lockouts'], command: 'lockouts' },
  { words: ['blocks'], command: 'blocks' },
])('for the helpdesk, $words is a command of its script', ({ words, command }) => {
  expect(commandLine(withConfig(helpdesk, '/etc/gw.yaml'), words)).toBe(
    `sudo -u sallyport sallyport-helpdesk ${command}`,
  );
});

test('for the helpdesk, an administrator is told which config it is', () => {
  const file = '/etc/sallyport/gateway.yaml';
  expect(commandLine(withConfig(helpdesk, file), ['check'])).toBe(
    `ask an administrator to run: sallyport check --config ${file}`,
  );
});

test.each([
  { words: ['unblock', '--user', 'corp:jane'] },
  { words: ['unlock', '--user', 'jane', '--exact'] },
  { words: ['block', '--group', 'corp:ops', '--for', '8h'] },
  { words: ['revoke', '--user', 'corp:jane'] },
  { words: ['token', 'list', '--user', 'corp:jane', '--authenticator', 'robots'] },
  { words: ['constructor'] },
])('for the helpdesk, $words is a matter of an administrator', ({ words }) => {
  const line = `sallyport ${words.join(' ')} --config /etc/gw.yaml`;
  expect(commandLine(withConfig(helpdesk, '/etc/gw.yaml'), words)).toBe(
    `ask an administrator to run: ${line}`,
  );
});
