import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const script = fileURLToPath(new URL('../soak/run.ts', import.meta.url));

test('2,500 logins leave no memory and no socket behind, and each has the right answer', {
  timeout: 300_000,
}, async () => {
  const run = promisify(execFile)(process.execPath, ['--expose-gc', script, '2500']);
  const { stdout } = await run.catch((failed: { stdout: string; stderr: string }) => {
    throw new Error(`the soak failed: ${failed.stdout}${failed.stderr}`);
  });
  const result = JSON.parse(stdout);
  console.log(`${result.perSecond} logins per second, ${result.grown} bytes more in use after 2,000 of them`);
  expect(result).toMatchObject({ logins: 2_500, wrong: [], socketsLeft: 0 });
  // The bound is made for more logins: some 250 KB stay, after 2,000 of them as after 4,000.
  expect(result.grown).toBeLessThan(result.allowedGrowth / 2);
});
