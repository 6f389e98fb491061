import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';

/**
 * Without a listener, a signal ends a process without its `exit` listeners. Vitest ends its workers with SIGTERM, also
 * while a test that took too long still has its servers.
 */
for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => process.exit(128 + constants.signals[signal]));
}

/** Servers end before the folders that they write to are deleted. */
const cleanups: Readonly<Record<'servers' | 'folders', (() => void)[]>> = {
  servers: [],
  folders: [],
};
process.once('exit', () => {
  for (const cleanup of [...cleanups.servers, ...cleanups.folders]) cleanup();
});

/** Cleans up, at the end of the test process, after tests that could not. It must be synchronous. */
export function atProcessEnd(what: keyof typeof cleanups, cleanup: () => void): void {
  cleanups[what].push(cleanup);
}

/** Processes that run now. */
const running = new Set<ChildProcess>();
atProcessEnd('servers', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Kills a process at the end of the test process, however that ends, unless it has ended before. @returns the process */
export function killAtProcessEnd<Child extends ChildProcess>(child: Child): Child {
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}
