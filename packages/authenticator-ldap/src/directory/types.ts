import type { Logger, Metrics } from '@sallyport/authenticator';
import type { TlsSettings } from '@sallyport/plugin-options';
import type { BindCredentials, BindResult, Connect, Connection, Server } from '../connection/types.ts';
import type { LdapOptions } from '../options/types.ts';
import type { ResolveSrv } from './server-list.ts';

/** All servers as one: failover, circuits, pools of service connections, the limit on user binds. */
export interface Directory {
  /**
   * Calls `work` with a connection that is bound as the service account. When connecting or `work` ends in a
   * ServerError, the next server is asked, so `work` may be called again: it must only read. It searches only while it
   * runs, one search at a time.
   *
   * @throws AuthenticatorError `unavailable` with the reason of each server, or `failed`
   * @throws what else `work` throws, and the reason of the signal
   */
  withService<T>(work: (connection: SearchConnection) => Promise<T>, options: DirectoryCall): Promise<Answered<T>>;

  /**
   * One bind as a user, on a connection that is used for such binds only. Any answer of a server is final, a refusal
   * too: another server is asked only if one did not answer, or answered that it can't (51 busy, 52 unavailable).
   *
   * @throws as `withService`
   */
  bindUser(credentials: BindCredentials, options: BindCall): Promise<Answered<BindResult>>;

  /** Connects to every server and binds as the service account; `look` then looks for what the caller needs there. */
  check(look: (connection: SearchConnection) => Promise<void>, signal: AbortSignal): Promise<readonly ServerReport[]>;

  /** After a change of the TLS files: no connection that was made before is used again. */
  renewConnections(): void;

  /** Ends connections, probes and timers. A second call does nothing. */
  close(): Promise<void>;
}

export type SearchConnection = Pick<Connection, 'search'>;

export interface DirectoryCall {
  readonly signal: AbortSignal;
  /** The server that answered the step before: it is asked first, so that one login sees one state of the directory. */
  readonly prefer?: Server;
  /**
   * The DN of the user whose login it is, where the server's work depends on that user: a server that was reached and
   * then is silent is not to blame. For a bind it is the DN of the bind.
   */
  readonly subject?: string;
}

export interface BindCall extends DirectoryCall {
  /**
   * Called for each server that did not answer the bind within `serverTimeout` and still may: it works on the bind, and
   * counts the password in the end. Left out: the connection is closed.
   *
   * @param answer rejects when the connection ends without one
   */
  readonly onLate?: (answer: Promise<BindResult>) => void;
}

export interface Answered<T> {
  readonly value: T;
  readonly server: Server;
}

export interface ServerReport {
  readonly server: Server;
  /** The problem and how to fix it. Undefined: there is none. */
  readonly problem?: string | undefined;
  /** Whether logins pass this server over because of the problem, and ask the next one. */
  readonly isPassedOver?: boolean;
}

export interface DirectoryDependencies {
  readonly options: LdapOptions;
  readonly tls: () => TlsSettings;
  readonly connect: Connect;
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** At least 0, less than 1. */
  readonly random: () => number;
  /** Called when a server whose circuit was open has recovered. */
  readonly backendReconnected?: (() => void) | undefined;
  /** Left out: DNS, by `options.srv.nameServers`. */
  readonly resolveSrv?: ResolveSrv;
}
