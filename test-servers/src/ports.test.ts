import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { freePort } from './ports.ts';

/** It lives, and keeps its ports, until its standard input ends. */
const program = `
  const { freePort } = await import(${JSON.stringify(import.meta.resolve('./ports.ts'))});
  for (let count = 0; count < 500; count++) console.log(await freePort());
  process.stdin.resume();
`;

test('no two processes get the same port', async () => {
  const other = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const printed = text(other.stdout);
  await once(other, 'spawn');
  const ports: number[] = [];
  while (ports.length < 500) ports.push(await freePort());
  other.stdin.end();
  ports.push(...(await printed).trim().split('\n').map(Number));
  expect(ports).toHaveLength(1_000);
  expect(new Set(ports).size).toBe(1_000);
});
