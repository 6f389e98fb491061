import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import type { Context, Middleware } from 'koa';
import { StatusError } from '../../server/kubernetes-status.ts';
import type { StatusDocument } from './document.ts';

export interface StatusPageSource {
  /** Read at each request. If the page is not shown, all its paths are 404. */
  readonly isShown: () => boolean;
  readonly document: () => Promise<StatusDocument>;
}

const dataPath = '/status.json';

/** Nothing from other hosts, nothing inline, no frame around it; and no text becomes code. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join('; ');

const headers: Readonly<Record<string, string>> = {
  'Content-Security-Policy': contentSecurityPolicy,
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cross-Origin-Opener-Policy': 'same-origin',
  // The page names users; and a page of one version must not load the scripts of another.
  'Cache-Control': 'no-store',
};

/**
 * Answers the paths of the status page, and passes on all others. They are 404 if the page is not shown, and 403 for a
 * Host that is a name, on every address: a web site must not read the names of users through its own name.
 *
 * @param document the StatusDocument as JSON
 */
export function createStatusPage(isShown: () => boolean, document: () => Promise<Buffer>): Middleware {
  return async (context, next) => {
    if (!Object.hasOwn(files, context.path) && context.path !== dataPath) return next();
    if (!isShown()) throw new StatusError(404, 'not found');
    context.set(headers);
    return requireLocalHost(context, async () => {
      requireReading(context);
      const asset = context.path === dataPath ? undefined : (await readAssets()).get(context.path);
      context.set('Content-Type', asset?.contentType ?? 'application/json; charset=utf-8');
      context.body = asset === undefined ? await document() : asset.body;
    });
  };
}

function requireReading(context: Context): void {
  if (context.method === 'GET' || context.method === 'HEAD') return;
  context.set('Allow', 'GET, HEAD');
  throw new StatusError(405, 'the method must be GET, HEAD');
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

/** A file of the page, as it is served. */
interface Asset {
  readonly contentType: string;
  readonly body: Buffer;
}

const html = 'text/html; charset=utf-8';
const css = 'text/css; charset=utf-8';
const script = 'text/javascript; charset=utf-8';
const text = 'text/plain; charset=utf-8';

/** A file that the build copies to the page's own. @param source where it is in a checkout */
function copied(name: string, source: () => string): URL {
  const copy = new URL(`./page/${name}`, import.meta.url);
  return existsSync(copy) ? copy : new URL(source(), import.meta.url);
}

/** All files that are served, by their paths. A request never names a file. */
const files: Readonly<Record<string, readonly [contentType: string, file: () => URL]>> = {
  '/': [html, () => new URL('./page/index.html', import.meta.url)],
  '/status/icon.svg': ['image/svg+xml', () => new URL('./page/icon.svg', import.meta.url)],
  '/status/base.css': [css, () => new URL('./page/base.css', import.meta.url)],
  '/status/parts.css': [css, () => new URL('./page/parts.css', import.meta.url)],
  '/status/main.js': [script, () => new URL('./page/main.js', import.meta.url)],
  '/status/chain-view.js': [script, () => new URL('./page/chain-view.js', import.meta.url)],
  '/status/element.js': [script, () => new URL('./page/element.js', import.meta.url)],
  '/status/facts-view.js': [script, () => new URL('./page/facts-view.js', import.meta.url)],
  '/status/notices.js': [script, () => new URL('./page/notices.js', import.meta.url)],
  '/status/plots.js': [script, () => new URL('./page/plots.js', import.meta.url)],
  '/status/recent-view.js': [script, () => new URL('./page/recent-view.js', import.meta.url)],
  '/status/words.js': [script, () => new URL('./page/words.js', import.meta.url)],
  // The page asks no other host, so the docs that it links to are served beside it.
  '/status/operations.md': [text, () => copied('operations.md', () => '../../../../../docs/operations.md')],
  '/status/uplot.css': [css, () => copied('uPlot.min.css', () => import.meta.resolve('uplot/dist/uPlot.min.css'))],
  '/status/uplot.js': [script, () => copied('uPlot.esm.js', () => import.meta.resolve('uplot/dist/uPlot.esm.js'))],
};

let assets: Promise<ReadonlyMap<string, Asset>> | undefined;

/** Reads all of them at the first request, and no more: 300 KB, mostly the plotting library. */
function readAssets(): Promise<ReadonlyMap<string, Asset>> {
  assets ??= Promise.all(
    Object.entries(files).map(async ([path, [contentType, file]]) => {
      return [path, { contentType, body: await readFile(file()) }] as const;
    }),
  ).then((read) => new Map(read));
  // What could not be read is tried again.
  assets.catch(() => {
    assets = undefined;
  });
  return assets;
}
