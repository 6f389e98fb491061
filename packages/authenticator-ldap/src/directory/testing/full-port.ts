import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** A port of a process that is stopped, with its queue of connections full: SYNs are not answered any more. */
export interface FullPort extends AsyncDisposable {
  readonly port: number;
}

const backlog = 1;

/** Listens, prints its port, and stops itself before it accepts anything. */
const program = `
  const server = require('node:net').createServer();
  server.listen({ port: 0, host: '127.0.0.1', backlog: ${backlog} }, () => {
    require('node:fs').writeSync(1, String(server.address().port));
    process.kill(process.pid, 'SIGSTOP');
  });
`;

export async function startFullPort(): Promise<FullPort> {
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [output] = (await once(child.stdout, 'data')) as [Buffer];
  const port = Number(output.toString());
  // Linux keeps one more than the backlog says. Sockets beyond these stay in the handshake.
  const fillers: Socket[] = [];
  for (let count = 0; count <= backlog; count++) {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    fillers.push(socket);
    await once(socket, 'connect');
  }
  return {
    port,
    async [Symbol.asyncDispose]() {
      for (const socket of fillers) socket.destroy();
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}
