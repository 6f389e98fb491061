import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { vi } from 'vitest';
import { createMemory } from '../cache/memory.ts';
import { noteUse, writeSession } from '../cache/session-file.ts';
import { createPromptLimit } from '../cache/store.ts';
import { main } from '../cli.ts';
import { cacheName, type Target } from '../target.ts';

interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

type Variables = Readonly<Record<string, string>>;

const folder: string = join(import.meta.dirname, '../..');

/**
 * `pnpm test` builds the package before, and sets CODE=dist: the bundle that users install starts
 * in a third of the time.
 */
const program: string = join(
  folder,
  process.env.CODE === 'dist' ? 'dist' : 'src',
  'kubectl-sallyport.js',
);

const NODE_COMPILE_CACHE: string = join(folder, 'node_modules/.cache/node-compile');

/** Runs `kubectl-sallyport` in a folder that is the user's home. */
export interface Client {
  /** The folder in which it caches sessions. */
  readonly cache: string;
  /** Runs a command in this process, without a terminal. */
  run(words: readonly string[], env?: Variables): Promise<Result>;
  /** Runs a line of a shell on a terminal, in the home. `$PLUGIN` in it is the command. */
  terminal(line: string, env?: Variables): TerminalRun;
  /** Counts a prompt, as a process does that asks for a password and is killed. */
  beginPrompt(target: Target): void;
  /** Counts a window of the browser, as a process does that opens one and is killed. */
  beginWindow(target: Target): void;
  /** Puts a session of ada into its cache, which was used a minute ago, and remembers the API server of {@link execInfo}. */
  cacheSession(
    target: Target,
    changes?: { readonly token?: string; readonly left?: number },
  ): string;
}

/** A command that runs on a terminal. */
export interface TerminalRun {
  /** Returns what the terminal shows. */
  readonly shown: () => string;
  type(text: string): void;
  readonly ended: Promise<number | null>;
}

export function createClient(home: string): Client {
  const cache = join(home, '.cache/sallyport');
  const variables = (env: Variables = {}): Variables => ({
    ...{ PATH: process.env.PATH ?? '', HOME: home, NODE_COMPILE_CACHE },
    ...env,
  });
  return {
    cache,
    run: (words, env) => runHere(words, variables(env)),
    terminal(line, env) {
      const PLUGIN = `'${process.execPath}' '${program}'`;
      // `script` of util-linux gives it a terminal.
      const child = spawn('script', ['-qefc', line.replaceAll('$PLUGIN', PLUGIN), '/dev/null'], {
        cwd: home,
        env: { ...variables(env), TERM: 'dumb' },
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      let text = '';
      child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
      return {
        shown: () => text,
        type: (keys) => void child.stdin.write(keys),
        ended: new Promise((resolve) => child.once('close', resolve)),
      };
    },
    beginPrompt: (target) => createPromptLimit(join(cache, `${cacheName(target)}.prompts`)).begin(),
    beginWindow: (target) => createPromptLimit(join(cache, `${cacheName(target)}.browser`)).begin(),
    cacheSession(target, { token = 'sp_cached', left = 3_600_000 } = {}) {
      mkdirSync(cache, { recursive: true, mode: 0o700 });
      const file = join(cache, `${cacheName(target)}.json`);
      const { url, cluster } = target;
      writeSession(file, {
        url,
        cluster,
        username: target.account ?? 'ada',
        user: 'corp:ada',
        token,
        expiresAt: Date.now() + left,
      });
      noteUse(file, Date.now() - 60_000);
      createMemory(join(cache, `${cacheName(target)}.memory`)).remember({ server: kubeServer });
      return file;
    },
  };
}

/** These may be set where the tests run. */
const unset = [
  ...['KUBECONFIG', 'KUBECACHEDIR', 'KUBERNETES_EXEC_INFO', 'XDG_CACHE_HOME'],
  ...['SALLYPORT_USERNAME', 'SALLYPORT_PASSWORD_FILE', 'SALLYPORT_DEVICE', 'SALLYPORT_BROWSER'],
  ...['DISPLAY', 'WAYLAND_DISPLAY', 'SSH_CONNECTION', 'SSH_TTY'],
];

async function runHere(words: readonly string[], env: Variables): Promise<Result> {
  const output = { stdout: '', stderr: '' };
  for (const name of unset) vi.stubEnv(name, undefined);
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  const { exitCode, stdin } = process;
  const { isTTY } = stdin;
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      output[name] += text;
      return true;
    }),
  );
  try {
    stdin.isTTY = false;
    process.exitCode = undefined;
    await main(words);
    return { code: Number(process.exitCode ?? 0), ...output };
  } finally {
    stdin.isTTY = isTTY;
    process.exitCode = exitCode;
    for (const spy of spies) spy.mockRestore();
    vi.unstubAllEnvs();
  }
}

/** The API server of the cluster. */
const kubeServer = 'https://kube.example.com';

/** Sets KUBERNETES_EXEC_INFO as kubectl does. */
export function execInfo(
  config: object | undefined,
  interactive = false,
  server: string = kubeServer,
): Variables {
  const spec = {
    interactive,
    ...(config && { cluster: { server, config } }),
  };
  const info = { apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential', spec };
  return { KUBERNETES_EXEC_INFO: JSON.stringify(info) };
}
