import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { loopbackPageHeaders, type Page, pages, renderPage } from './pages.ts';

/** A visit of the browser: the login server has sent it with a code, or because the user cancelled. */
export type BrowserVisit =
  | { readonly kind: 'code'; readonly code: string }
  | { readonly kind: 'cancelled' };

interface PendingLogin {
  /** The URL of the page at which it began. */
  readonly url: string;
  /** The ID of the login: other programs and web pages know how to send codes, but not the ID. */
  readonly id: string;
  /** It never rejects. */
  readonly onVisit: (visit: BrowserVisit) => Promise<Page>;
}

export type Listener = Awaited<ReturnType<typeof openListener>>;

/**
 * Reads a code as people type it, in Crockford's base32: `XXXX-XXXX-XXXX-XXXX`.
 *
 * @returns its 16 characters, so that one code has one spelling; undefined for what is not a code
 */
export function readCode(text: string): string | undefined {
  const characters = text
    .replaceAll(/[\s-]/g, '')
    .toUpperCase()
    .replaceAll('O', '0')
    .replaceAll(/[IL]/g, '1');
  return /^[0-9A-HJKMNP-TV-Z]{16}$/.test(characters) ? characters : undefined;
}

/** Times are in milliseconds. */
const defaults = {
  /** One more ends the oldest: programs of this machine that only connect must not keep the browser away. */
  maxConnections: 32,
  // Browsers send the cookies of all servers of this machine.
  maxHeaderSize: 65_536,
  headersTimeout: 5_000,
  requestTimeout: 5_000,
  connectionsCheckingInterval: 1_000,
};

/** Listens on this machine for the browser. Until `waitFor`, it ignores everyone. @throws Error of Node */
export async function openListener({ maxConnections, ...limits }: typeof defaults = defaults) {
  const { createServer } = await import('node:http');
  let pendingLogin: PendingLogin | undefined;
  let port = 0;
  const answers = new Set<Promise<void>>();
  const sockets = new Set<Socket>();
  const server = createServer(limits, (request, response) => {
    const visit = isNavigation(request, port)
      ? readVisit(request.url, pendingLogin?.id)
      : undefined;
    // The browser waits for its page while the code is exchanged.
    if (visit !== undefined) sockets.delete(request.socket);
    const page = (visit && pendingLogin?.onVisit(visit)) ?? Promise.resolve(pages.foreign);
    const answer = page
      .then((shown) => send(response, shown, pendingLogin?.url))
      .finally(() => answers.delete(answer));
    answers.add(answer);
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    const [oldest] = sockets;
    if (sockets.size > maxConnections) oldest?.destroy();
  });
  await new Promise<void>((resolve, reject) => {
    // `localhost` might be another address (RFC 8252, section 8.3).
    server.on('error', reject).listen(0, '127.0.0.1', resolve);
  });
  port = (server.address() as AddressInfo).port;
  return {
    port,
    waitFor(login: PendingLogin): void {
      pendingLogin = login;
    },
    /** Ends it when the browser has its page, and at the latest after a second. Browsers keep connections open. */
    async close(): Promise<void> {
      server.close();
      await Promise.race([Promise.all(answers), pause(1_000, undefined, { ref: false })]);
      server.closeAllConnections();
    },
  };
}

/**
 * Says whether a browser goes to this address as its user sees it. A script, a frame or an image of a web page does not, nor a page
 * that reaches this machine by another host name.
 */
function isNavigation({ method, headers }: IncomingMessage, port: number): boolean {
  const { host, origin, 'sec-fetch-mode': mode, 'sec-fetch-dest': destination } = headers;
  return (
    method === 'GET' &&
    host === `127.0.0.1:${port}` &&
    origin === undefined &&
    (mode ?? 'navigate') === 'navigate' &&
    (destination ?? 'document') === 'document'
  );
}

/** Reads the path of a visit. @returns undefined unless it is for the login with this ID */
function readVisit(path = '', id = ''): BrowserVisit | undefined {
  if (id === '') return;
  if (path === `/?cancelled=${id}`) return { kind: 'cancelled' };
  const start = `/?id=${id}&code=`;
  const code = path.startsWith(start) ? readCode(path.slice(start.length)) : undefined;
  return code === undefined ? undefined : { kind: 'code', code };
}

/** @param url the page at which the login began, whose server has the other pages */
function send(response: ServerResponse, page: Page, url: string | undefined): Promise<void> {
  return new Promise((resolve) => {
    response.once('close', resolve);
    if ('name' in page) {
      const location = new URL(`/login/done/${page.name}`, url).href;
      response.writeHead(303, { ...loopbackPageHeaders, location }).end();
    } else response.writeHead(page.status, loopbackPageHeaders).end(renderPage(page));
  });
}
