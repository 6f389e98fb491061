import { fileURLToPath } from 'node:url';
import { staticAuthenticator, tokensFile } from '@sallyport/test-servers/static-tokens';
import { randomToken } from '@sallyport/test-servers/tokens';
import { expect, test } from 'vitest';
import { startGateway } from './testing/gateway.ts';
import { cpuSeconds } from './testing/process-cpu.ts';
import { residentMemory } from './testing/process-memory.ts';
import { runLine } from './testing/shell.ts';

// The limits are five times the aims on a machine of its own.

test('the gateway starts in 300 ms of a processor, with 90 MiB', async () => {
  const files = { 'tokens.yaml': tokensFile({ [randomToken()]: 'ci' }) };
  await using gateway = await startGateway({
    config: { authenticators: [staticAuthenticator] },
    files,
  });
  const [cpu, memory] = [(await cpuSeconds(gateway.pid)) * 1000, await residentMemory(gateway.pid)];
  console.log(`the gateway: ${cpu.toFixed()} ms of a processor, ${memory.toFixed()} MiB`);
  expect([cpu < 5 * 300, memory < 5 * 90]).toEqual([true, true]);
});

test('kubectl sallyport token starts in 100 ms of a processor', async () => {
  const program = fileURLToPath(import.meta.resolve('kubectl-sallyport/package.json')).replace(
    /package\.json$/,
    'dist',
  );
  const line = `for start in 1 2 3 4; do '${process.execPath}' '${program}/kubectl-sallyport.js' token; done; times`;
  const written = await runLine(line, { cwd: program, env: { PATH: process.env.PATH ?? '' } });
  // The last line of `times` is what its children took: `0m0.350s 0m0.080s`.
  const parts = [
    ...(/^(\d+m\S+s) (\d+m\S+s)\n(.*)$/m.exec(written)?.[3] ?? '').matchAll(/(\d+)m([\d.]+)s/g),
  ];
  const cpu =
    parts.reduce((sum, [, minutes, seconds]) => sum + 60 * Number(minutes) + Number(seconds), 0) *
    250;
  console.log(`kubectl sallyport token: ${cpu.toFixed()} ms of a processor`);
  expect([parts.length, cpu < 5 * 100]).toEqual([2, true]);
});
