import {
  askTimeout,
  localEnd,
  loginTimeout,
  readBody,
  readNewSession,
  sendWhenFree,
  unexpected,
} from '../server/login-server.ts';
import type { ServerAddress } from '../server/request.ts';
import { checkedUrl } from './opener.ts';
import { noBrowserLogin } from './way.ts';

/** What the login server has to know about a login in a browser. */
interface NewAttempt {
  /** SHA-256 of the verifier (RFC 7636, S256). */
  readonly challenge: string;
  /** The port of 127.0.0.1 that waits for the code. */
  readonly port: number | undefined;
  readonly cluster: string;
  readonly username: string | undefined;
  /** Without a device, the pages show none. */
  readonly device?: string;
}

/** Begins a login in a browser. @returns its ID, its page, and its end by the clock of this machine */
export async function beginLogin(server: ServerAddress, body: NewAttempt) {
  const answer = await sendWhenFree(server, {
    method: 'POST',
    path: '/v1/logins',
    body,
    timeout: askTimeout,
  });
  if (answer.status === 404) throw noBrowserLogin(server);
  const { id, url, expiresAt } = readBody(server, answer, 201);
  const page = checkedUrl(url, server.url);
  const end = localEnd(expiresAt, answer);
  if (typeof id !== 'string' || !/^[a-z2-7]{16}$/.test(id)) throw unexpected(server);
  if (page === undefined || Number.isNaN(end)) throw unexpected(server);
  return { id, url: page, expiresAt: end };
}

/** Exchanges the code of the page for a session. @returns undefined when the code is refused */
export async function redeem(
  server: ServerAddress,
  body: {
    readonly id: string;
    readonly code: string;
    readonly verifier: string;
    readonly device: string;
  },
  signal: AbortSignal,
) {
  const request = { method: 'POST', path: '/v1/sessions', body, signal } as const;
  return readNewSession(server, await sendWhenFree(server, { ...request, timeout: loginTimeout }));
}
