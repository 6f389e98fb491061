import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { ConformanceBackend } from '@sallyport/authenticator/conformance';

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const connected = once(socket, 'connect');
  return await connected
    .then(
      () => true,
      () => false,
    )
    .finally(() => socket.destroy());
}

/** @param command such as ['redis-server', '--port', '6390'], which listens on the port of 127.0.0.1 */
export async function startBackend(
  [program = '', ...words]: readonly string[],
  port: number,
): Promise<Required<ConformanceBackend>> {
  let child: ChildProcess | undefined;
  const backend: Required<ConformanceBackend> = {
    async start() {
      child?.kill('SIGCONT');
      child ??= spawn(program, words, { stdio: 'ignore' });
      for (let turn = 0; !(await answers(port)); turn += 1) {
        if (turn === 100)
          throw new Error(`${program} does not listen on port ${port}: is it installed?`);
        await delay(50);
      }
    },
    async stop() {
      if (!child) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
      child = undefined;
    },
    async hang() {
      child?.kill('SIGSTOP');
    },
  };
  await backend.start();
  return backend;
}
