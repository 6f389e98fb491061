import { connectBehind, extend, startTcpServer, type TcpServer } from './tcp-server.ts';

/** A proxy that counts what clients send. */
export interface CountingProxy extends TcpServer {
  /** Requests of clients. Chunks without an answer in between count as one, so one write is one request. */
  readonly requests: number;
  /** Bytes from clients. */
  readonly bytes: number;
}

/** @param target a port of 127.0.0.1 */
export async function startCountingProxy(target: number): Promise<CountingProxy> {
  let requests = 0;
  let bytes = 0;
  const proxy = await startTcpServer((client) => {
    const server = connectBehind(client, target);
    let isWaiting = false;
    client.on('data', (chunk) => {
      bytes += chunk.length;
      if (!isWaiting) requests += 1;
      isWaiting = true;
      server.write(chunk);
    });
    server.on('data', (chunk) => {
      isWaiting = false;
      client.write(chunk);
    });
  });
  return extend(proxy, {
    get requests() {
      return requests;
    },
    get bytes() {
      return bytes;
    },
  });
}
