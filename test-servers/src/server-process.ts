import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readdir, readFile } from 'node:fs/promises';
import { killAtProcessEnd } from './process-end.ts';
import { extend } from './tcp-server.ts';
import { waitFor } from './wait-for.ts';

export interface ServerProcessOptions {
  /** The name of the server in messages. */
  readonly name: string;
  readonly command: string;
  readonly arguments: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Receives stdout and stderr of every start, one after the other. */
  readonly logFile: string;
  /** Runs before each start and removes what the last one left behind. */
  prepare?(): Promise<void>;
  /** Whether it answers. */
  isReady(): Promise<boolean>;
}

/** A server in the foreground, which can be stopped, frozen and started again. */
export interface ServerProcess extends AsyncDisposable {
  /** Starts it, or resumes it when it is frozen, and waits until it answers. Does nothing if it runs. */
  start(): Promise<void>;
  /** Ends it, frozen or not, and waits for its end. Does nothing if it does not run. */
  stop(): Promise<void>;
  /** Kills it, as a crash does: it can write and send nothing more. Waits for its end. */
  kill(): Promise<void>;
  /** Freezes all its threads: the system still accepts connections for it, but nothing answers. */
  hang(): Promise<void>;
  /** Whether it runs: it has not ended and is not frozen. */
  readonly isRunning: boolean;
}

/**
 * A server made of a process: the controls of `server` and what `more` adds or replaces. Disposing it disposes `owned`.
 */
export function withControls<Server extends ServerProcess, More extends object>(
  server: Server,
  owned: AsyncDisposableStack,
  more: More,
): Server & More {
  return extend(server, { ...more, [Symbol.asyncDispose]: () => owned.disposeAsync() });
}

/** Debian installs servers in sbin, which not every user has on the PATH. */
const path = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`;

/** Servers allocate tables as long as the limit of open files, which in a container may be a thousand million. */
const withFewFiles = 'ulimit -n 8192 2>/dev/null; exec "$0" "$@"';

/** Milliseconds that a server has to end after SIGTERM. */
const gracePeriod = 5_000;

export function createServerProcess(options: ServerProcessOptions): ServerProcess {
  let child: ChildProcess | undefined;
  let frozen = false;

  /** Reads the state of the process, since it may have ended before anything could listen to an event. */
  function living(): ChildProcess | undefined {
    return child?.exitCode === null && child.signalCode === null ? child : undefined;
  }

  async function start(): Promise<void> {
    if (frozen) {
      frozen = false;
      living()?.kill('SIGCONT');
      return;
    }
    if (living() !== undefined) return;
    await options.prepare?.();
    child = await launch(options);
    try {
      await waitFor(async () => {
        if (living() === undefined) throw await startError(options);
        return options.isReady();
      }, `${options.name} to answer`);
    } catch (error) {
      await stop();
      throw error;
    }
  }

  async function end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const ending = living();
    if (ending === undefined) return;
    const ended = once(ending, 'exit');
    ending.kill(signal);
    frozen = false;
    const timer = setTimeout(() => ending.kill('SIGKILL'), gracePeriod);
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
      if (frozen && pid !== undefined)
        await waitFor(() => isFrozen(pid), `${options.name} to freeze`);
    },
    [Symbol.asyncDispose]: stop,
  };
}

async function launch(options: ServerProcessOptions): Promise<ChildProcess> {
  const log = await open(options.logFile, 'a');
  try {
    const child = killAtProcessEnd(
      spawn('/bin/sh', ['-c', withFewFiles, options.command, ...options.arguments], {
        env: { PATH: path, ...options.environment },
        stdio: ['ignore', log.fd, log.fd],
      }),
    );
    await once(child, 'spawn');
    return child;
  } finally {
    await log.close();
  }
}

async function startError({ name, command, logFile }: ServerProcessOptions): Promise<Error> {
  const lines = (await readFile(logFile, 'utf8')).trimEnd().split('\n').slice(-20).join('\n');
  return new Error(
    `${name} (${command}) ended before it answered. Is its Debian package installed?\n${lines}`,
  );
}

/** A signal takes a moment to reach threads that run on another core. The state follows the name: proc_pid_stat(5). */
async function isFrozen(pid: number): Promise<boolean> {
  const tasks = `/proc/${pid}/task`;
  const stats = await Promise.all(
    (await readdir(tasks)).map((task) => readFile(`${tasks}/${task}/stat`, 'utf8')),
  );
  return stats.every((stat) => /^T/i.test(stat.slice(stat.lastIndexOf(')') + 2)));
}

/**
 * Starts `count` servers concurrently. Those that started are disposed with `resources`, even when another one fails to start.
 *
 * @param start receives 0, 1, 2 …
 */
export async function startAll<Started extends AsyncDisposable>(
  resources: AsyncDisposableStack,
  count: number,
  start: (index: number) => Promise<Started>,
): Promise<Started[]> {
  const starts = Array.from({ length: count }, async (_, index) =>
    resources.use(await start(index)),
  );
  await Promise.allSettled(starts);
  return Promise.all(starts);
}
