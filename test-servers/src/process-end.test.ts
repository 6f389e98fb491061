import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { accepts, freePort } from './ports.ts';
import { waitFor } from './wait-for.ts';

/** Starts a server, prints its folder, and never disposes it. */
const program = (port: number): string => `
  const { createServerProcess } = await import(${JSON.stringify(import.meta.resolve('./server-process.ts'))});
  const { temporaryFolder } = await import(${JSON.stringify(import.meta.resolve('./temporary-folder.ts'))});
  const { accepts } = await import(${JSON.stringify(import.meta.resolve('./ports.ts'))});
  const folder = await temporaryFolder('end');
  const server = createServerProcess({
    name: 'server',
    command: process.execPath,
    arguments: ['-e', 'require("net").createServer().listen(${port}, "127.0.0.1")'],
    logFile: folder.path + '/log',
    isReady: () => accepts(${port}),
  });
  await server.start();
  console.log(folder.path);
  setInterval(() => {}, 1_000);
`;

test.each(['SIGHUP', 'SIGINT', 'SIGTERM'] as const)(
  'no server and no folder outlives a process that %s ends',
  async (signal) => {
    const port = await freePort();
    const owner = spawn(process.execPath, ['--input-type=module', '-e', program(port)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(owner, 'exit');
    const [folder] = await once(createInterface(owner.stdout), 'line');
    expect(existsSync(folder)).toBe(true);
    expect(await accepts(port)).toBe(true);
    owner.kill(signal);
    expect((await ended)[0]).toBeGreaterThan(128);
    await waitFor(async () => !(await accepts(port)), 'the server to end');
    expect(existsSync(folder)).toBe(false);
  },
);
