import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import type { Middleware } from 'koa';
import { StatusError } from '../../http/kubernetes-status.ts';
import type { StatusDocument } from './collector.ts';

export interface StatusPageSource {
  /** Whether the page is shown, read at each request. If not, all its paths are 404. */
  readonly isShown: () => boolean;
  readonly document: () => Promise<StatusDocument>;
}

/** The headers that only the page has. The others are in admin.ts. */
const headers = {
  // The page loads nothing from other hosts and nothing inline, is in no frame, and makes no text into code.
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  // The page names users. And a page of one version must not load the scripts of another.
  'Cache-Control': 'no-store',
};

/**
 * Answers the paths of the status page, and passes on all others. They are 404 if the page is not shown, and 403 for a
 * Host that is a name, on every address: a web site must not read the names of users through its own name.
 *
 * @param document the StatusDocument as JSON
 */
export function createStatusPage(
  isShown: () => boolean,
  document: () => Promise<Buffer>,
): Middleware {
  const data = { contentType: 'application/json; charset=utf-8', read: document };
  return async (context, next) => {
    const { path, method } = context;
    const file = path === '/status.json' ? data : files.get(path);
    if (file === undefined) return next();
    if (!isShown()) throw new StatusError(404, 'not found');
    context.set(headers);
    return requireLocalHost(context, async () => {
      if (method !== 'GET' && method !== 'HEAD') {
        context.set('Allow', 'GET, HEAD');
        throw new StatusError(405, 'the method must be GET, HEAD');
      }
      context.set('Content-Type', file.contentType);
      context.body = await file.read();
    });
  };
}

/**
 * A web site can point its own name at this machine (DNS rebinding), and then read what listens here with the browser of
 * a visitor. The Host header still has that name, so it is refused.
 */
export const requireLocalHost: Middleware = async (context, next) => {
  const host = (context.req.headers.host ?? '').replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  if (host.toLowerCase() !== 'localhost' && isIP(host) === 0) {
    throw new StatusError(403, 'the Host header must be an IP address or localhost');
  }
  await next();
};

const contentTypes = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  md: 'text/plain; charset=utf-8',
  svg: 'image/svg+xml',
};

/**
 * Reads a file of the page.
 *
 * @param source where it is in a checkout, if only the build copies it to the page's own files
 */
function pageFile<Type extends keyof typeof contentTypes>(
  name: `${string}.${Type}`,
  source?: () => string,
) {
  let body: Buffer | undefined;
  return {
    contentType: contentTypes[name.split('.').at(-1) as Type],
    /** Reads it at the first request alone. All files have 300 KB, mostly of the plotting library. */
    async read() {
      const file = new URL(`./page/${name}`, import.meta.url);
      body ??= await readFile(
        source === undefined || existsSync(file) ? file : new URL(source(), import.meta.url),
      );
      return body;
    },
  };
}

const scripts = ['main', 'chain-view', 'element', 'facts-view', 'plots', 'words'];

/** All files that are served, by their paths. A request never names a file. */
const files = new Map([
  ['/', pageFile('index.html')],
  ['/status/icon.svg', pageFile('icon.svg')],
  ['/status/base.css', pageFile('base.css')],
  ['/status/parts.css', pageFile('parts.css')],
  ...scripts.map((name) => [`/status/${name}.js`, pageFile(`${name}.js`)] as const),
  // The page asks no other host, so the docs that it links to are served with it.
  ['/status/monitoring.md', pageFile('monitoring.md', () => '../../../../../docs/monitoring.md')],
  [
    '/status/uplot.css',
    pageFile('uPlot.min.css', () => import.meta.resolve('uplot/dist/uPlot.min.css')),
  ],
  [
    '/status/uplot.js',
    pageFile('uPlot.esm.js', () => import.meta.resolve('uplot/dist/uPlot.esm.js')),
  ],
]);
