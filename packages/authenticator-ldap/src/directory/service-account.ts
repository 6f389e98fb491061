import { AuthenticatorError } from '@sallyport/authenticator';
import { ServerError, ServerSkipped, StaleConnection } from '../connection/server-error.ts';
import type { BindResult, Connection, Server } from '../connection/types.ts';
import { ageText, durationText } from '../deadlines.ts';
import { createConnectionPool, type Lease } from './connection-pool.ts';
import { measured, type ServerMetrics } from './metrics.ts';
import { isServerOutage, namedCode } from './result-codes.ts';
import type { DirectoryDependencies, SearchConnection } from './types.ts';

/** What the uses of one server share. */
export interface ServerAccess extends Omit<DirectoryDependencies, 'metrics'> {
  readonly server: Server;
  readonly metrics: ServerMetrics;
  /** Connects, with TLS, and binds as no one. @throws as `Connect` */
  readonly open: (signal: AbortSignal) => Promise<Connection>;
  /** Aborted when the server is closed. */
  readonly closing: AbortSignal;
}

/** What a caller does with a connection that is bound as the service account. */
export type Work<T> = (connection: SearchConnection) => Promise<T>;

/** A wrong password tried again and again locks the account, and with it every login. */
const firstPause = 30_000;
const longestPause = 600_000;

const passwordWarning =
  "the service account's password must be changed: the server accepted it, but its password policy objects";

/** Connects to one server and binds as the service account, or only connects where searches are anonymous. */
export function createServiceAccount(access: ServerAccess) {
  const { open, metrics, logger, now, closing } = access;
  const { url } = access.server;
  const credentials = access.options.bind;
  let refusal: { readonly message: string; readonly at: number; readonly pause: number } | undefined;
  let mustChange = false;

  const pauseLeft = () => (refusal === undefined ? 0 : refusal.at + refusal.pause - now());
  const refuse = (code: number, dn: string) => {
    const named = namedCode(code);
    const message =
      code === 8 || code === 13
        ? `the service account may not bind to ${url} without TLS (${named}): use ldaps:// or StartTLS`
        : `the service account ${dn} was refused by ${url} (${named}): check bind.dn and bind.password`;
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
    const before = mustChange;
    mustChange = passwordPolicyError !== undefined || passwordMustChange;
    if (mustChange && !before) logger.warn({ server: url }, passwordWarning);
  };

  return {
    /** Names the problem when the last bind was accepted although its password must be changed: a server may refuse all that follows. */
    get problem() {
      return mustChange ? passwordWarning : undefined;
    },
    /** True while the account is not tried, after a refusal. */
    get isRefused() {
      return pauseLeft() > 0;
    },
    /** @throws ServerSkipped `refused`, also when the server refused it recently: then nothing is sent; as `bind` */
    async open(signal: AbortSignal): Promise<Connection> {
      if (refusal !== undefined && pauseLeft() > 0) {
        const left = durationText(Math.ceil(pauseLeft() / 1000) * 1000);
        const since = ageText(now() - refusal.at);
        throw new ServerSkipped('refused', `${refusal.message} (${since}; not tried again for ${left})`);
      }
      const connection = await open(signal);
      if (credentials === undefined) return connection;
      try {
        // No pool knows the connection yet, so `close` ends it by the signal.
        const send = () => connection.bind(credentials, AbortSignal.any([signal, closing]));
        const result = await measured(send, now, (name, time) => metrics.bound('service', name, time));
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

/** For a bind, of the service account or of a user, that was answered with 51 or 52. */
export function outage(url: string, code: number): ServerError {
  return new ServerError('answer', 'bind', `${url}: bind: the server can't at the moment (${namedCode(code)})`);
}

/** Searches at one server, on kept connections that are bound as the service account. */
export function createServiceSearches(
  access: ServerAccess,
  open: (signal: AbortSignal) => Promise<Connection>,
  /** A connection that was used before was silent: the network may have lost all of this server's. */
  onDead: () => void,
) {
  const { server, options, metrics, now, random } = access;
  const settings = { ...options.pool, url: server.url, waitTimeout: options.serverTimeout };
  const pool = createConnectionPool({ ...settings, open, metrics: metrics.pool('service'), now, random });
  const workOn = async <T>({ connection }: Lease, work: Work<T>) => work(searchesOf(connection, access));

  return {
    ...pool,
    /** One that the server had closed is replaced: to close what is idle is its right. @throws StaleConnection */
    async work<T>(work: Work<T>, signal: AbortSignal): Promise<T> {
      const lease = await pool.acquire(signal);
      let isSound = false;
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
        isSound = true;
        return value;
      } catch (error) {
        // An error about this one login: the connection did what it was asked for.
        isSound = AuthenticatorError.is(error);
        throw error;
      } finally {
        lease.release(isSound);
      }
    },
  };
}

/** The searches of a connection, and no binds, measured. */
export function searchesOf(connection: Connection, { metrics, now }: ServerAccess): SearchConnection {
  return { search: (request, signal) => measured(() => connection.search(request, signal), now, metrics.searched) };
}
