import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readdir, readFile } from 'node:fs/promises';
import { PortTaken } from './ports.ts';
import { atProcessEnd } from './process-end.ts';
import { waitUntil } from './wait-until.ts';

export interface ServerProcessOptions {
  /** For messages. */
  readonly name: string;
  readonly command: string;
  readonly arguments: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Gets stdout and stderr of every start, one behind the other. */
  readonly logFile: string;
  /** Before each start: what a former one left behind is cleared. */
  prepare?(): Promise<void>;
  /** Whether it answers. */
  isReady(): Promise<boolean>;
}

/** A server in the foreground, which can be stopped, frozen and started again. */
export interface ServerProcess extends AsyncDisposable {
  /** Starts it, or thaws it, and waits until it answers. Does nothing if it runs. */
  start(): Promise<void>;
  /** Ends it, frozen or not, and waits for its end. Does nothing if it does not run. */
  stop(): Promise<void>;
  /** As a crash does: it is not asked, so nothing is written or told any more. Waits for its end. */
  kill(): Promise<void>;
  /** Freezes it, to the last thread: the system still accepts connections for it, but nobody answers. */
  hang(): Promise<void>;
  /** Neither ended, by whomever, nor frozen. */
  readonly isRunning: boolean;
}

/** Killed with the test process, however that ends. */
const running = new Set<ChildProcess>();
atProcessEnd('servers', () => {
  for (const child of running) {
    child.kill('SIGKILL');
  }
});

/** Debian's servers live in sbin, which not every user has on the PATH. */
const path = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`;

/** Servers make tables as long as the limit of open files, which in a container may be a thousand million. */
const withFewFiles = 'ulimit -n 8192 2>/dev/null; exec "$0" "$@"';

/** How long a server has to end by itself. */
const grace = 5_000;

export function createServerProcess(options: ServerProcessOptions): ServerProcess {
  let child: ChildProcess | undefined;
  let frozen = false;

  /** Not told by an event: it may have ended before anybody could listen. */
  function living(): ChildProcess | undefined {
    return child?.exitCode === null && child.signalCode === null ? child : undefined;
  }

  async function start(): Promise<void> {
    if (frozen) {
      frozen = false;
      living()?.kill('SIGCONT');
      return;
    }
    if (living() !== undefined) {
      return;
    }
    await options.prepare?.();
    child = await launch(options);
    try {
      await waitUntil(async () => {
        if (living() === undefined) {
          throw await startFault(options);
        }
        return options.isReady();
      }, `${options.name} to answer`);
    } catch (error) {
      await stop();
      throw error;
    }
  }

  async function end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const ending = living();
    if (ending === undefined) {
      return;
    }
    const ended = once(ending, 'exit');
    ending.kill(signal);
    frozen = false;
    const timer = setTimeout(() => ending.kill('SIGKILL'), grace);
    await ended;
    clearTimeout(timer);
  }

  const stop = (): Promise<void> => end(frozen ? 'SIGKILL' : 'SIGTERM');

  return {
    start,
    stop,
    kill: () => end('SIGKILL'),
    get isRunning() {
      return living() !== undefined && !frozen;
    },
    async hang() {
      frozen = living()?.kill('SIGSTOP') ?? false;
      const pid = child?.pid;
      if (frozen && pid !== undefined) await waitUntil(() => isFrozen(pid), `${options.name} to freeze`);
    },
    [Symbol.asyncDispose]: stop,
  };
}

async function launch(options: ServerProcessOptions): Promise<ChildProcess> {
  const log = await open(options.logFile, 'a');
  try {
    const child = spawn('/bin/sh', ['-c', withFewFiles, options.command, ...options.arguments], {
      env: { PATH: path, ...options.environment },
      stdio: ['ignore', log.fd, log.fd],
    });
    running.add(child);
    child.once('exit', () => running.delete(child));
    await once(child, 'spawn');
    return child;
  } finally {
    await log.close();
  }
}

async function startFault({ name, command, logFile }: ServerProcessOptions): Promise<Error> {
  const lines = (await readFile(logFile, 'utf8')).trimEnd().split('\n').slice(-20).join('\n');
  if (/address already in use|errno=98|error 98|in use/i.test(lines)) {
    return new PortTaken(`${name}: a port was taken:\n${lines}`);
  }
  return new Error(`${name} (${command}) ended before it answered. Is its Debian package installed?\n${lines}`);
}

/** A signal takes a moment to reach threads that run on another core. proc_pid_stat(5): the state follows the name. */
async function isFrozen(pid: number): Promise<boolean> {
  const tasks = `/proc/${pid}/task`;
  const stats = await Promise.all((await readdir(tasks)).map((task) => readFile(`${tasks}/${task}/stat`, 'utf8')));
  return stats.every((stat) => /^T/i.test(stat.slice(stat.lastIndexOf(')') + 2)));
}
