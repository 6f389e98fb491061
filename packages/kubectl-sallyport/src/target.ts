import { createHash } from 'node:crypto';
import { usageFailure } from './failure.ts';
import { printable } from './text.ts';

/** What a session is for: a cluster, at a login server, and maybe one of several accounts there. */
export interface Target {
  /** The URL of the login server, without a slash at its end. */
  readonly url: string;
  /** The name that the login server gives to the cluster. */
  readonly cluster: string;
  /** The CAs of the login server (PEM). Left out: those of Node and of the system. */
  readonly ca?: string;
  /** The account that the kubeconfig names. Left out: there is one session for the cluster, of whoever logged in. */
  readonly account?: string;
  /** Who is to be logged in. Left out: the user is asked. */
  readonly username?: string;
}

const loopback = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/**
 * Checks the URL of a login server, and writes it in one way.
 *
 * @throws Failure unless it is https; http is for this machine alone, because passwords are sent there
 */
export function normalizeUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const shown = printable(text);
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw usageFailure(`${shown}: it is not the URL of a login server. It looks like https://login.example.com:8444`);
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw usageFailure('the URL of a login server has no user, no password, no "?" and no "#". Leave them out');
  }
  if (url.protocol === 'http:' && !loopback.test(url.hostname)) {
    throw usageFailure(`${shown}: passwords are sent to a login server over https only. Use its https URL`);
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

/** Names what is cached for a target. It is no secret, and hides nothing. */
export function nameOf({ url, cluster, account }: Target): string {
  return createHash('sha256')
    .update(JSON.stringify([url, cluster, account ?? null]))
    .digest('hex')
    .slice(0, 32);
}
