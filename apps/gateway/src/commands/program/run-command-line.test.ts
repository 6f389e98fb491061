import { describe, expect, test } from 'vitest';
import { createTestContext } from '../../testing/command-context.ts';
import { operatorIn } from '../../testing/operator.ts';
import { runCommandLine } from './run-command-line.ts';

const trick = 'x\n  fix: evil\u001b[31m';
const { run } = operatorIn('/nowhere');

test('--help explains the command, and exits 0', async () => {
  const { code, stdout, stderr } = await run(['--help']);
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(/^Usage: sallyport /);
});

test.each(
  [
    ['fly'],
    ['check', '-o', 'xml'],
    ['token', 'hash'],
    ['explain', '--user', 'ci', '--audience', 'vault'],
  ].map((words) => ({ words })),
)('$words is wrong usage, and exits 2', async ({ words }) => {
  const { code, stdout, stderr } = await run(words);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toMatch(/^error: /);
});

describe('a terminal does not obey what is quoted, and it has no fix', () => {
  test.each(
    [
      ['token', 'hash', '--user', 'ci', '--ttl', trick],
      ['token', 'create', '--user', 'ci', '--ttl', '8h', '--extra', trick],
      ['check', '--config', trick],
      ['check', '-o', trick],
      ['blocks', `--${trick}`],
      [trick],
    ].map((words) => ({ words })),
  )('in $words', async ({ words }) => {
    const { stdout, stderr } = await run(words);
    expect(stdout + stderr).toMatch(/evil/);
    expect(stdout + stderr).not.toContain('\u001b');
    expect(stdout + stderr).not.toMatch(/^ {0,2}fix: evil/m);
  });
});

test.each([
  { program: ' ', shown: ' ' },
  { program: 'npx\nsallyport', shown: String.raw`npx\u{a}sallyport` },
  { program: 'sallyport\n', shown: String.raw`sallyport\u{a}` },
  { program: '\u{1b}[2Jsallyport', shown: String.raw`\u{1b}[2Jsallyport` },
  { program: 'sally\u{202e}port', shown: String.raw`sally\u{202e}port` },
])('a command refuses "$shown" as SALLYPORT_COMMAND', async ({ program, shown }) => {
  const environment = { SALLYPORT_COMMAND: program };
  const context = createTestContext({ environment, words: ['schema'] });
  expect([await runCommandLine(context), context.printed]).toEqual([
    2,
    {
      stdout: '',
      stderr: `sallyport: SALLYPORT_COMMAND is not one line of printable characters: "${shown}"\n  fix: set it to what you type before a command, such as "npx sallyport", or unset it\n`,
    },
  ]);
});
