import type { Context, Middleware } from 'koa';
import { StatusError } from '../../server/kubernetes-status.ts';
import { requireLocalHost } from '../local-host.ts';
import { readAssets } from './assets.ts';
import type { StatusDocument } from './document.ts';

export interface StatusPageSource {
  /** Asked at each request. Where it is not shown, nothing of it is there. */
  readonly isShown: () => boolean;
  readonly document: () => Promise<StatusDocument>;
}

/** The same with the document as JSON. */
interface StatusPageBytes extends Pick<StatusPageSource, 'isShown'> {
  readonly document: () => Promise<Buffer>;
}

const dataPath = '/status.json';

/** Nothing from elsewhere, nothing inline, nobody around it; and no text becomes code. */
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
  // Names of users are in it; and a page of one version must not meet scripts of another.
  'Cache-Control': 'no-store',
};

/**
 * Answers the paths of the status page and passes all others on. 404 for each of them where the page is not shown; 403
 * for a Host that is a name, wherever it listens: what names users must not be read through the name of a web site.
 */
export function createStatusPage({ isShown, document }: StatusPageBytes): Middleware {
  const assets = readAssets();
  return async (context, next) => {
    const asset = assets.get(context.path);
    if (asset === undefined && context.path !== dataPath) return next();
    if (!isShown()) throw new StatusError(404, 'not found');
    context.set(headers);
    return requireLocalHost(context, async () => {
      requireRead(context);
      context.set('Content-Type', asset?.contentType ?? 'application/json; charset=utf-8');
      context.body = asset === undefined ? await document() : asset.body;
    });
  };
}

function requireRead(context: Context): void {
  if (context.method === 'GET' || context.method === 'HEAD') return;
  context.set('Allow', 'GET, HEAD');
  throw new StatusError(405, 'the method must be GET, HEAD');
}
