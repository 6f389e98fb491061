import { connectBehind, extend, startTcpServer, type TcpServer } from './tcp-server.ts';

/** A proxy that can keep what clients send. So a server answers as late as a test needs. */
export interface HoldingProxy extends TcpServer {
  /** What clients have sent since `hold`, as text. */
  readonly held: string;
  /** Keeps what clients send from now on. */
  hold(): void;
  /** Sends the server what was kept, and from now on what clients send. */
  release(): void;
}

/** @param target a port of 127.0.0.1 */
export async function startHoldingProxy(target: number): Promise<HoldingProxy> {
  let isHolding = false;
  let waiting: (readonly [chunk: Buffer, send: (chunk: Buffer) => void])[] = [];
  const proxy = await startTcpServer((client) => {
    const server = connectBehind(client, target);
    const send = (chunk: Buffer) => void server.write(chunk);
    client.on('data', (chunk: Buffer) => {
      if (isHolding) waiting.push([chunk, send]);
      else send(chunk);
    });
    server.on('data', (chunk) => client.write(chunk));
  });
  return extend(proxy, {
    get held() {
      return Buffer.concat(waiting.map(([chunk]) => chunk)).toString('latin1');
    },
    hold() {
      isHolding = true;
    },
    release() {
      isHolding = false;
      for (const [chunk, send] of waiting) send(chunk);
      waiting = [];
    },
  });
}
