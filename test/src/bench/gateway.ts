import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { temporaryFolder } from '@sallyport/test-servers/temporary-folder';
import { stringify } from 'yaml';
import { ownedChild } from './owned-child.ts';
import type { Tls } from './tls.ts';

/** A gateway in a process of its own, started as users start it. */
export interface BenchGateway extends AsyncDisposable {
  readonly pid: number;
  readonly url: string;
  readonly adminUrl: string;
  /** The URL of the login server. It is empty if the config has no `login`. */
  readonly loginUrl: string;
  readonly folder: string;
  /** Milliseconds from its spawn until it listened. */
  readonly started: number;
  /** The last lines of its log, without those of reviews. */
  log(): readonly string[];
  /** Replaces a file next to its config, in one step. */
  write(name: string, content: string): Promise<void>;
}

export interface BenchGatewaySetup {
  /** The file that Node runs, such as `apps/gateway/src/sallyport.js`. */
  readonly entry: string;
  readonly tls: Tls;
  /** Keys besides those that all gateways of the bench share: see `benchConfigText`. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Arguments of Node before the entry. Default: none, as users start it. */
  readonly nodeArguments?: readonly string[];
  /** Files next to gateway.yaml, by their names. */
  readonly files?: Readonly<Record<string, string>>;
}

/** The files in which the gateway finds its certificate. */
export const names = {
  certFile: 'tls/server.crt',
  keyFile: 'tls/server.key',
  clientCAFile: 'tls/ca.crt',
} as const;

/** Adds what all gateways of the bench share: mutual TLS, an audit trail in a file, and an admin address on loopback. */
export function benchConfigText({ server, ...others }: BenchGatewaySetup['config']): string {
  const tls = { ...names, clientNames: ['kube-apiserver'] };
  return stringify({
    server: { listen: '127.0.0.1:0', shutdownDelay: '0s', tls, ...(server ?? {}) },
    admin: { listen: '127.0.0.1:0' },
    audit: { output: 'audit.log' },
    ...others,
  });
}

/** The `nodeArguments` with which SIGUSR2 makes the gateway collect its garbage. */
export const collectsGarbage: readonly string[] = [
  '--expose-gc',
  '--import',
  'data:text/javascript,process.on("SIGUSR2", () => gc())',
];

/** Starts a gateway. @throws Error with its output, if it ends before it listens */
export async function startBenchGateway({
  entry,
  tls,
  config,
  files,
  nodeArguments = [],
}: BenchGatewaySetup): Promise<BenchGateway> {
  await using resources = new AsyncDisposableStack();
  const folder = resources.use(await temporaryFolder('bench')).path;
  const write = async (name: string, content: string): Promise<void> => {
    const file = join(folder, name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(`${file}.new`, content, { mode: 0o600 });
    await rename(`${file}.new`, file);
  };
  const { cert, key, ca } = tls.server;
  const all = { [names.certFile]: cert, [names.keyFile]: key, [names.clientCAFile]: ca, ...files };
  for (const [name, content] of Object.entries(all)) await write(name, content);
  await write('gateway.yaml', benchConfigText(config));
  const spawned = performance.now();
  const child = spawn(
    process.execPath,
    [
      ...nodeArguments,
      '--disable-sigusr1',
      entry,
      'serve',
      '--config',
      join(folder, 'gateway.yaml'),
    ],
    {
      cwd: folder,
      env: { PATH: process.env.PATH ?? '', HOME: folder, NO_COLOR: '1' },
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  resources.use(ownedChild(child));
  const listening = await untilListening(child);
  const started = performance.now() - spawned;
  const owned = resources.move();
  return {
    pid: child.pid ?? 0,
    ...listening,
    folder,
    started,
    write,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The number of lines of its log that are remembered. */
const maxLines = 50;

async function untilListening(
  child: ChildProcess,
): Promise<Pick<BenchGateway, 'url' | 'adminUrl' | 'loginUrl' | 'log'>> {
  if (child.stderr === null) throw new Error('the gateway has no stderr');
  const written: string[] = [];
  // The rest of the log is read, too: a full pipe would block the gateway.
  const lines = createInterface({ input: child.stderr });
  lines.on('line', (line) => {
    if (parseLine(line).msg === 'token review') return;
    written.push(line);
    if (written.length > maxLines) written.shift();
  });
  return await new Promise((resolve, reject) => {
    lines.on('line', (line) => {
      const { msg, url, adminUrl, loginUrl = '' } = parseLine(line);
      if (msg === 'listening') {
        resolve({
          url: String(url),
          adminUrl: String(adminUrl),
          loginUrl: String(loginUrl),
          log: () => written,
        });
      }
    });
    lines.on('close', () =>
      reject(new Error(`the gateway ended before it listened:\n${written.join('\n')}`)),
    );
  });
}

function parseLine(line: string): Record<string, unknown> {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return {};
  }
}

/** Reads the value of the first series of /metrics with this name and these labels. It is 0 if there is none. */
export async function metric(
  adminUrl: string,
  name: string,
  labels: readonly string[] = [],
): Promise<number> {
  const text = await (await fetch(new URL('/metrics', adminUrl))).text();
  const isMeant = (line: string): boolean =>
    /[{ ]/.test(line.charAt(name.length)) &&
    line.startsWith(name) &&
    labels.every((label) => line.includes(label));
  return Number(text.split('\n').find(isMeant)?.split(' ').at(-1) ?? 0);
}
