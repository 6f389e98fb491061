import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { sharedAuthority } from './certificates.ts';

/** An https server of the test process on a free port of 127.0.0.1. Disposing it closes all its connections. */
export interface HttpsServer extends AsyncDisposable {
  /** `https://127.0.0.1:PORT`, which stays the same after `stop` and `start`. */
  readonly url: string;
  /** The CA of its certificate, as PEM and as a file. */
  readonly ca: string;
  readonly caFile: string;
  /** The paths of all requests, in their order, without a query. A test may empty it. */
  readonly asked: string[];
  /** Refuses connections from now on, and cuts those that are open. */
  stop(): Promise<void>;
  /** Ends what `stop` or `hang` began. A request that came while it hung is never answered. */
  start(): Promise<void>;
  /** Accepts connections and requests from now on, and answers none. */
  hang(): void;
}

/** @param handlerOf is called once, with the URL of the server */
export async function startHttpsServer(
  handlerOf: (url: string) => RequestListener,
): Promise<HttpsServer> {
  const authority = await sharedAuthority();
  const { certificate, key } = await authority.sharedServer();
  const server = createServer({ cert: certificate, key });
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const url = `https://127.0.0.1:${port}`;
  const handle = handlerOf(url);
  const asked: string[] = [];
  let hangs = false;
  server.on('request', (request, answer) => {
    asked.push(new URL(request.url ?? '', url).pathname);
    if (!hangs) handle(request, answer);
  });
  const stop = async () => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  return {
    url,
    ca: authority.certificate,
    caFile: authority.certificateFile,
    asked,
    stop,
    async start() {
      hangs = false;
      if (!server.listening) await once(server.listen(port, '127.0.0.1'), 'listening');
    },
    hang() {
      hangs = true;
    },
    [Symbol.asyncDispose]: stop,
  };
}
