import { type ChildProcess, spawn } from 'node:child_process';
import { atProcessEnd } from '@sallyport/test-servers/process-end';
import { waitFor, waitForPromise } from '@sallyport/test-servers/wait-for';
import type { CommandResult } from './command.ts';

export interface ShellSetup {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

/** The commands that run now. None of them outlives the test process, in whatever way that ends. */
const running = new Set<ChildProcess>();
atProcessEnd('servers', () => {
  for (const child of running) signalGroup(child, 'SIGKILL');
});

/** Runs a line as a user who pastes it. @returns its output @throws Error with its output, when it fails */
export async function runLine(line: string, setup: ShellSetup): Promise<string> {
  const { code, stdout, stderr } = await runProgram('sh', ['-c', line], setup);
  if (code !== 0) throw new Error(`${line} ended with ${code}:\n${stdout}${stderr}`);
  return stdout + stderr;
}

/** Runs a program to its end. Only the test limits its time. */
export async function runProgram(
  program: string,
  words: readonly string[],
  setup: ShellSetup,
): Promise<CommandResult> {
  const { ended, output } = start(program, words, setup);
  return { code: await ended, ...output };
}

/** A line that goes on running, such as a server. Disposing it ends all its processes. */
export interface RunningLine extends AsyncDisposable {
  /** Waits until its output matches. @returns the first group */
  waitFor(pattern: RegExp): Promise<string>;
}

export function startLine(line: string, setup: ShellSetup): RunningLine {
  const { child, ended, output } = start('sh', ['-c', line], setup);
  const written = () => output.stdout + output.stderr;
  return {
    waitFor: (pattern) =>
      waitFor(() => pattern.exec(written())?.[1], `${pattern} in the output of ${line}`),
    async [Symbol.asyncDispose]() {
      signalGroup(child, 'SIGTERM');
      await waitForPromise(ended, `the end of ${line}`);
    },
  };
}

/** Sends a signal to the whole group, if there is one left: npm does not pass signals on to what it runs. */
function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function start(program: string, words: readonly string[], { cwd, env }: ShellSetup) {
  const child = spawn(program, words, {
    cwd,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (more: string) => {
      output[name] += more;
    });
  }
  running.add(child);
  const ended = new Promise<number | null>((resolve, reject) =>
    child.once('close', resolve).once('error', reject),
  );
  return { child, output, ended: ended.finally(() => running.delete(child)) };
}
