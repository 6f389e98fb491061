import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { atProcessEnd } from '@sallyport/test-servers/process-end';

const running = new Set<ChildProcess>();
atProcessEnd('servers', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Ends a process that was just spawned when it is disposed, or when this process ends in any way. */
export function ownedChild(child: ChildProcess): AsyncDisposable {
  running.add(child);
  const ended = once(child, 'exit').finally(() => running.delete(child));
  return {
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
