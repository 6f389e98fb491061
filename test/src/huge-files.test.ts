import { execFileSync, spawn } from 'node:child_process';
import { readFile, rename, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tokensFile } from '@sallyport/test-servers/static-tokens';
import { randomToken } from '@sallyport/test-servers/tokens';
import { waitForPromise } from '@sallyport/test-servers/wait-for';
import { expect, test } from 'vitest';
import { http1Client, review } from './testing/clients.ts';
import { gatewayFolder, runCommand } from './testing/command.ts';
import { configFolder } from './testing/config-folder.ts';
import { configText, startGateway } from './testing/gateway.ts';
import { createMutualTls, type MutualTls } from './testing/mutual-tls.ts';
import type { LogLine } from './testing/output.ts';

/** The size of a file that takes no space on the disk. */
const huge = 1024 * 1024 * 1024;

interface Place {
  readonly files: Readonly<Record<string, string>>;
  readonly config: object;
  readonly token: string;
  readonly mutual: MutualTls;
}

/** A config that reads a file of each kind: a secret, a token list, certificates of the server, clients, a backend. */
async function createPlace(): Promise<Place> {
  const token = randomToken();
  const mutual = await createMutualTls();
  const files = {
    ...mutual.files,
    'secrets/redis': randomToken(),
    'tokens.yaml': tokensFile({ [token]: 'ada' }),
    'tls/redis-ca.crt': mutual.serverAuthority.certificate,
  };
  const authenticators = [
    { name: 'robots', use: 'static', options: { tokensFile: 'tokens.yaml' } },
    {
      name: 'issued',
      use: 'redis',
      options: {
        url: 'rediss://127.0.0.1:1',
        caFile: 'tls/redis-ca.crt',
        password: { file: 'secrets/redis' },
      },
    },
  ];
  return { token, files, mutual, config: { server: { tls: mutual.tls }, authenticators } };
}

/** The files, and the report about each once it is not a file of its kind. */
const kinds: readonly (readonly [string, string, string])[] = [
  ['gateway.yaml', 'config reload refused', '1 MiB'],
  ['secrets/redis', 'config reload refused', '64 KiB'],
  ['tokens.yaml', 'file reload refused', '256 MiB'],
  ['tls/server.crt', 'certificate reload refused', '4 MiB'],
  ['tls/client-ca.crt', 'certificate reload refused', '4 MiB'],
  ['tls/redis-ca.crt', 'file reload refused', '4 MiB'],
];

/** The replacements of a file, and the reports about them. The same report twice in a row would come once. */
const spoilers: readonly (readonly [(file: string) => Promise<void>, (limit: string) => string])[] =
  [
    // No one writes to this pipe.
    [async (file) => void execFileSync('mkfifo', [file]), () => 'is not a regular file'],
    [
      (file) => writeFile(file, '').then(() => truncate(file, huge)),
      (limit) => `must be at most ${limit}`,
    ],
    // This file never ends.
    [(file) => symlink('/dev/zero', file), () => 'is not a regular file'],
  ];

/** Counts the bytes that all reads of a process have returned so far (Linux: proc(5), /proc/PID/io). */
async function bytesRead(pid: number): Promise<number> {
  return Number(/^rchar: (\d+)$/m.exec(await readFile(`/proc/${pid}/io`, 'utf8'))?.[1]);
}

test('a file of 1 GiB, a pipe or a device in place of any that the gateway reads is refused, and not read', async () => {
  const { config, files, mutual, token } = await createPlace();
  await using gateway = await startGateway({ config: { ...config }, files });
  using client = http1Client(gateway.url, mutual.client);
  const before = await bytesRead(gateway.pid);
  for (const [name, message, limit] of kinds) {
    try {
      for (const [spoil, said] of spoilers) {
        const from = gateway.output.lines.length;
        const file = join(gateway.folder, name);
        // This is one step: a read in between would find no file, and nothing new the next time.
        await spoil(`${file}.new`);
        await rename(`${file}.new`, file);
        gateway.signal('SIGHUP');
        const isIt = ({ msg, problems }: LogLine) =>
          msg === message &&
          [name, said(limit)].every((text) => JSON.stringify(problems).includes(text));
        await gateway.output.waitForLine(isIt, `"${message}" of ${name}`, from);
        expect(await review(client, token)).toMatchObject({ authenticated: true });
      }
    } finally {
      await gateway.write(name, files[name] ?? configText({ ...config }));
    }
    await gateway.reload();
  }
  expect((await bytesRead(gateway.pid)) - before).toBeLessThan(huge / 2);
});

test('check says which files are too big', async () => {
  const { config, files } = await createPlace();
  const folder = await configFolder({ ...config }, files);
  const names = ['tokens.yaml', 'tls/server.crt', 'tls/redis-ca.crt'];
  for (const name of names) await truncate(join(folder, name), huge);
  const { code, stdout } = await runCommand(['check', '--config', 'gateway.yaml'], { cwd: folder });
  expect(code).toBe(1);
  for (const name of names) expect(stdout).toMatch(new RegExp(`${name} must be at most \\d+ MiB`));
});

test('a token on standard input that never ends is refused', async () => {
  const words = `'${process.execPath}' --disable-sigusr1 '${join(gatewayFolder, 'src/sallyport.js')}' token hash --user ada < /dev/zero`;
  const child = spawn('sh', ['-c', words], { stdio: ['ignore', 'ignore', 'pipe'] });
  let text = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  expect(await waitForPromise(ended, 'the end')).toBe(1);
  expect(text).toBe('sallyport: standard input is over 4 MiB, so it is not a token\n');
});
