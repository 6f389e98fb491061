import { type ChildProcess, spawn } from 'node:child_process';
import { waitFor, within } from '@sallyport/test-servers/wait-for';

export interface ShellSetup {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Runs a line as a user who pastes it. @returns all that it wrote @throws Error with that, when it fails */
export async function runLine(line: string, setup: ShellSetup): Promise<string> {
  const { child, output } = start(line, setup);
  const code = await within(ended(child), `the end of ${line}:\n`);
  if (code !== 0) throw new Error(`${line} ended with ${code}:\n${output()}`);
  return output();
}

/** A line that goes on running, such as a server. Disposing of it ends all its processes. */
export interface RunningLine extends AsyncDisposable {
  /** Waits until this is in what it wrote. @returns the first group */
  waitFor(pattern: RegExp): Promise<string>;
}

export function startLine(line: string, setup: ShellSetup): RunningLine {
  const { child, output } = start(line, setup);
  const end = ended(child);
  return {
    waitFor: (pattern) => waitFor(() => pattern.exec(output())?.[1], `${pattern} in the output of ${line}`),
    async [Symbol.asyncDispose]() {
      // npm passes no signal on to what it runs: so its whole group gets it.
      if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGTERM');
      await within(end, `the end of ${line}`);
    },
  };
}

function start(line: string, { cwd, env }: ShellSetup): { child: ChildProcess; output: () => string } {
  const child = spawn('sh', ['-c', line], { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (more: string) => {
      text += more;
    });
  }
  return { child, output: () => text };
}

function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.once('close', resolve));
}
