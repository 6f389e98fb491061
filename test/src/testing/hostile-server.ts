import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createAuthority } from '@sallyport/test-servers/certificates';

/** A server of an attacker on this machine. */
interface HostileServer extends AsyncDisposable {
  readonly port: number;
  /** The markup of its pages, by their paths. */
  readonly pages: Map<string, string>;
  /** The cookies that browsers have sent. */
  readonly cookies: readonly string[];
}

/** Starts the server. For `shareBrowser`, `evil.example` is a name of this machine. */
export async function startHostileServer(): Promise<HostileServer> {
  const { certificate: cert, key } = await (await createAuthority('hostile')).issueServer();
  const pages = new Map<string, string>();
  const cookies: string[] = [];
  const server = createServer({ cert, key }, (request, response) => {
    cookies.push(...(request.headers.cookie?.split('; ') ?? []));
    const body = pages.get(request.url ?? '');
    response.writeHead(body === undefined ? 404 : 200, { 'content-type': 'text/html' }).end(body);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    pages,
    cookies,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
