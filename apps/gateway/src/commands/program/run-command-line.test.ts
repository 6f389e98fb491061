import { describe, expect, test } from 'vitest';
import { operatorIn } from '../../testing/operator.ts';

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
