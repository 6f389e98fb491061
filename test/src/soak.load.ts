import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

test('a short soak finds no wrong answer, and says what it did', async () => {
  const file = fileURLToPath(new URL('soak/soak.ts', import.meta.url));
  const child = spawn(process.execPath, [
    file,
    '--minutes',
    '0.2',
    '--seed',
    '1',
    '--only',
    'a replica is killed',
  ]);
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ]);
  expect([code, stderr]).toEqual([0, expect.stringContaining('soak: --topology single --seed 1')]);
  expect(stdout).toMatch(/\| a replica is killed +\| +\d+ \|/);
  expect(stdout).toContain('No wrong answer; nothing grew.');
});
