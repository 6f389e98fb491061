import { isIP } from 'node:net';
import type { Middleware } from 'koa';
import { StatusError } from '../server/kubernetes-status.ts';

/**
 * A web page may point its own name at this machine (DNS rebinding), and then reads with its visitor's browser what
 * listens here. The Host header still bears that name.
 */
export const requireLocalHost: Middleware = async (context, next) => {
  const host = (context.req.headers.host ?? '').replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  if (host.toLowerCase() !== 'localhost' && isIP(host) === 0) {
    throw new StatusError(403, 'the Host header must be an IP address or localhost');
  }
  await next();
};
