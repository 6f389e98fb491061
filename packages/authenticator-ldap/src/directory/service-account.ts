import type { Logger } from '@sallyport/authenticator';
import { ServerError } from '../connection/server-error.ts';
import type { BindCredentials, BindResult, Connection, Server } from '../connection/types.ts';
import { ageText, durationText } from '../deadlines.ts';
import { ServerSkipped } from './errors.ts';
import { measured, type ServerMetrics } from './metrics.ts';
import { isServerOutage, namedCode } from './result-codes.ts';

/** The connections of one server on which searches run. */
export interface ServiceAccount {
  /**
   * Connects and binds, or only connects where searches are anonymous.
   *
   * @throws ServerSkipped `refused`; nothing is sent to a server that refused the account recently
   * @throws as `Connection.bind`
   */
  open(signal: AbortSignal): Promise<Connection>;
  /** True while the account is not tried, after a refusal. */
  readonly isRefused: boolean;
}

/** What the uses of one server share. */
export interface ServerAccess {
  readonly server: Server;
  /** Connects, with TLS, and binds as no one. @throws as `Connect` */
  readonly open: (signal: AbortSignal) => Promise<Connection>;
  /** Milliseconds for one step. */
  readonly timeout: number;
  readonly metrics: ServerMetrics;
  readonly logger: Logger;
  readonly now: () => number;
}

/** A wrong password tried again and again locks the account, and with it every login. */
const firstPause = 30_000;
const longestPause = 600_000;

const passwordWarning =
  "the service account's password must be changed: the server accepted it, but its password policy objects";

interface Refusal {
  readonly message: string;
  readonly at: number;
  readonly pause: number;
}

/** @param credentials left out: searches are anonymous */
export function createServiceAccount(access: ServerAccess, credentials: BindCredentials | undefined): ServiceAccount {
  const { open, logger, now } = access;
  const { url } = access.server;
  let refusal: Refusal | undefined;
  let warned = false;

  const pauseLeft = () => (refusal === undefined ? 0 : refusal.at + refusal.pause - now());
  const stillRefused = ({ message, at }: Refusal) => {
    const left = durationText(Math.ceil(pauseLeft() / 1000) * 1000);
    return new ServerSkipped('refused', `${message} (${ageText(now() - at)}; not tried again for ${left})`);
  };
  const refuse = (message: string) => {
    // Binds that were in progress together are one refusal.
    if (pauseLeft() <= 0) {
      const pause = refusal === undefined ? firstPause : Math.min(refusal.pause * 2, longestPause);
      refusal = { message, at: now(), pause };
      logger.warn({ server: url, reason: message, pause: durationText(pause) }, 'service account refused');
    }
    return new ServerSkipped('refused', message);
  };
  const accept = ({ passwordPolicyError, passwordMustChange }: BindResult) => {
    refusal = undefined;
    const mustChange = passwordPolicyError !== undefined || passwordMustChange;
    if (mustChange && !warned) logger.warn({ server: url }, passwordWarning);
    warned = mustChange;
  };

  return {
    get isRefused() {
      return pauseLeft() > 0;
    },
    async open(signal) {
      if (refusal !== undefined && pauseLeft() > 0) throw stillRefused(refusal);
      const connection = await open(signal);
      if (credentials === undefined) return connection;
      try {
        const result = await bind(connection, credentials, signal, access);
        if (result.code !== 0) throw refuse(refusalText(result.code, credentials.dn, url));
        accept(result);
        return connection;
      } catch (error) {
        connection.close();
        throw error;
      }
    },
  };
}

async function bind(
  connection: Connection,
  credentials: BindCredentials,
  signal: AbortSignal,
  { server, metrics, now }: ServerAccess,
): Promise<BindResult> {
  const send = () => connection.bind(credentials, signal);
  const result = await measured(send, now, (name, time) => metrics.bound('service', name, time));
  if (isServerOutage(result.code)) throw outage(server.url, result.code);
  return result;
}

/** For a bind, of the service account or of a user, that was answered with 51 or 52. */
export function outage(url: string, code: number): ServerError {
  return new ServerError('answer', 'bind', `${url}: bind: the server can't at the moment (${namedCode(code)})`);
}

function refusalText(code: number, dn: string, url: string): string {
  const named = namedCode(code);
  if (code === 8 || code === 13) {
    return `the service account may not bind to ${url} without TLS (${named}): use ldaps:// or StartTLS`;
  }
  return `the service account ${dn} was refused by ${url} (${named}): check bind.dn and bind.password`;
}
