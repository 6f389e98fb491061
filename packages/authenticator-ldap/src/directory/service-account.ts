import { AuthenticatorError } from '@sallyport/authenticator';
import { ageText, durationText } from '@sallyport/plugin-kit';
import { ServerError, ServerSkipped, StaleConnection } from '../connection/server-error.ts';
import type { BindResult, LdapConnection, Server } from '../connection/types.ts';
import { createConnectionPool, type Lease } from './connection-pool.ts';
import { measured, type ServerMetrics } from './metrics.ts';
import { isServerOutage, namedCode } from './result-codes.ts';
import type { DirectoryDependencies, SearchConnection } from './types.ts';

export interface ServerAccess extends Omit<DirectoryDependencies, 'metrics'> {
  readonly server: Server;
  readonly metrics: ServerMetrics;
  /** Connects, with TLS, without a bind. @throws as `Connect` */
  readonly open: (signal: AbortSignal) => Promise<LdapConnection>;
  readonly closing: AbortSignal;
}

/** What a caller does with a connection that is bound as the service account. */
export type Work<T> = (connection: SearchConnection) => Promise<T>;

/** A wrong password that is sent again and again locks the account, and with it every login. */
const firstPause = 30_000;
const maxPause = 600_000;

const passwordWarning =
  "the service account's password must be changed: the server accepted it, but reported an error of its password policy";

export function createServiceAccount(access: ServerAccess) {
  const { open, metrics, logger, now, closing } = access;
  const { url } = access.server;
  const credentials = access.options.bind;
  let refusal:
    | { readonly message: string; readonly at: number; readonly pause: number }
    | undefined;
  let mustChange = false;

  const pauseLeft = () => (refusal === undefined ? 0 : refusal.at + refusal.pause - now());
  const refuse = (code: number, dn: string) => {
    const named = namedCode(code);
    const message =
      code === 8 || code === 13
        ? `the service account is not allowed to bind to ${url} without TLS (${named}): use ldaps:// or StartTLS`
        : code === 34
          ? `bind.dn is not a DN for ${url} (${named}): write one such as cn=sallyport,ou=services,dc=example,dc=com`
          : `the service account ${dn} was refused by ${url} (${named}): check bind.dn and bind.password`;
    // Concurrent binds that are refused are one refusal.
    if (pauseLeft() <= 0) {
      const pause = refusal === undefined ? firstPause : Math.min(refusal.pause * 2, maxPause);
      refusal = { message, at: now(), pause };
      logger.warn(
        { server: url, reason: message, pause: durationText(pause) },
        'service account refused',
      );
    }
    return new ServerSkipped('refused', message);
  };
  const accept = ({ passwordPolicyError, passwordMustChange }: BindResult) => {
    refusal = undefined;
    const hadToChange = mustChange;
    mustChange = passwordPolicyError !== undefined || passwordMustChange;
    if (mustChange && !hadToChange) logger.warn({ server: url }, passwordWarning);
  };

  return {
    /** Names the problem when the last bind was accepted although its password must be changed: a server may refuse all that follows. */
    get problem() {
      return mustChange ? passwordWarning : undefined;
    },
    get isRefused() {
      return pauseLeft() > 0;
    },
    /** @throws ServerSkipped `refused`, also during the pause after a refusal, when nothing is sent; as `bind` */
    async open(signal: AbortSignal): Promise<LdapConnection> {
      if (refusal !== undefined && pauseLeft() > 0) {
        const pause = durationText(Math.ceil(pauseLeft() / 1000) * 1000);
        const since = ageText(now() - refusal.at);
        throw new ServerSkipped(
          'refused',
          `${refusal.message} (${since}; not tried again for ${pause})`,
        );
      }
      const connection = await open(signal);
      if (credentials === undefined) return connection;
      try {
        // No pool contains the connection yet, so `close` ends it by the signal.
        const send = () => connection.bind(credentials, AbortSignal.any([signal, closing]));
        const result = await measured(send, now, (name, time) =>
          metrics.bound('service', name, time),
        );
        if (isServerOutage(result.code)) throw outage(url, result.code);
        if (result.code !== 0) throw refuse(result.code, credentials.dn);
        accept(result);
        return connection;
      } catch (error) {
        connection.close();
        throw error;
      }
    },
  };
}

/** Makes the error of a bind, of the service account or of a user, that was answered with 51 or 52. */
export function outage(url: string, code: number): ServerError {
  return new ServerError(
    'answer',
    'bind',
    `${url}: bind: the server can't at the moment (${namedCode(code)})`,
  );
}

export function createServiceSearches(
  access: ServerAccess,
  open: (signal: AbortSignal) => Promise<LdapConnection>,
  /**
   * Is called when a connection that was used before was silent: the network may have lost all
   * connections of this server.
   */
  onDead: () => void,
) {
  const { server, options, metrics, now, random } = access;
  const settings = { ...options.pool, url: server.url, waitTimeout: options.serverTimeout };
  const pool = createConnectionPool({
    ...settings,
    open,
    metrics: metrics.pool('service'),
    now,
    random,
  });
  const workOn = async <T>({ connection }: Lease, work: Work<T>) =>
    work(limitToSearches(connection, access));

  return {
    ...pool,
    /**
     * Does the work. A connection that the server has closed is replaced: a server may close what
     * is idle.
     *
     * @throws StaleConnection
     */
    async work<T>(work: Work<T>, signal: AbortSignal): Promise<T> {
      const lease = await pool.acquire(signal);
      let isReusable = false;
      try {
        const value = await workOn(lease, work).catch(async (error: unknown) => {
          if (!lease.reused || signal.aborted || !(error instanceof ServerError)) throw error;
          if (error.kind === 'timeout') {
            onDead();
            throw new StaleConnection(error.kind, error.step, error.message);
          }
          if (error.kind !== 'closed') throw error;
          await lease.replace(signal);
          return workOn(lease, work);
        });
        isReusable = true;
        return value;
      } catch (error) {
        // An AuthenticatorError is about this login: the connection has worked.
        isReusable = AuthenticatorError.is(error);
        throw error;
      } finally {
        lease.release(isReusable);
      }
    },
  };
}

/** Measures the searches of a connection, and hides its binds. */
export function limitToSearches(
  connection: LdapConnection,
  { metrics, now }: ServerAccess,
): SearchConnection {
  return {
    search: (request, signal) =>
      measured(() => connection.search(request, signal), now, metrics.searched),
  };
}
