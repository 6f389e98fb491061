import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createServerProcess, type ServerProcess } from './server-process.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** Prints a line when it receives SIGTERM. */
const program = `
  process.on('SIGTERM', () => { console.log('was asked'); process.exit(); });
  setInterval(() => {}, 1_000);
  console.log('ready');
`;

interface Started extends AsyncDisposable {
  readonly server: ServerProcess;
  log(): Promise<string[]>;
}

async function startServer(): Promise<Started> {
  await using resources = new AsyncDisposableStack();
  const logFile = join(resources.use(await temporaryFolder('process')).path, 'log');
  const log = async () => (await readFile(logFile, 'utf8')).trimEnd().split('\n');
  const server = resources.use(
    createServerProcess({
      name: 'server',
      command: process.execPath,
      arguments: ['-e', program],
      logFile,
      prepare: () => appendFile(logFile, 'start\n'),
      isReady: async () => (await log()).at(-1) === 'ready',
    }),
  );
  await server.start();
  const owned = resources.move();
  return { server, log, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

test('a stop sends SIGTERM, a kill does not, and after both it starts again', async () => {
  await using started = await startServer();
  const { server } = started;
  await server.stop();
  await server.start();
  expect(await started.log()).toEqual(['start', 'ready', 'was asked', 'start', 'ready']);
  await server.kill();
  await server.kill();
  await server.start();
  expect(await started.log()).toEqual([
    'start',
    'ready',
    'was asked',
    'start',
    'ready',
    'start',
    'ready',
  ]);
});

test('it runs unless it was stopped, killed or frozen', async () => {
  await using started = await startServer();
  const { server } = started;
  for (const end of [server.stop, server.kill, server.hang]) {
    expect(server.isRunning).toBe(true);
    await end();
    expect(server.isRunning).toBe(false);
    await server.start();
  }
  await server.hang();
  await server.kill();
  expect(server.isRunning).toBe(false);
});

test('a server that ends immediately is reported, however busy the machine is', async () => {
  await using folder = await temporaryFolder('process');
  const starts = Array.from({ length: 20 }, async (_, index) => {
    const logFile = join(folder.path, `log${index}`);
    await using server = createServerProcess({
      name: 'server',
      command: 'false',
      arguments: [],
      logFile,
      isReady: async () => false,
    });
    await server.start();
  });
  for (const start of await Promise.allSettled(starts)) {
    expect(String(start.status === 'rejected' && start.reason)).toContain(
      'server (false) ended before it answered',
    );
  }
});
