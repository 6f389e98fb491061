import type { Logger, Metrics } from '@sallyport/authenticator';
import type { TlsSettings } from '@sallyport/plugin-kit';
import type {
  BindCredentials,
  BindResult,
  Connect,
  LdapConnection,
  Server,
} from '../connection/types.ts';
import type { LdapOptions } from '../options/types.ts';
import type { ResolveSrv } from './server-list.ts';

/** All servers as one, with failover, circuits, pools of connections and the limit on user binds. */
export interface LdapDirectory {
  /**
   * Calls `work` with a connection that is bound as the service account. When connecting or `work` ends in a
   * ServerError, the next server is asked, so `work` may be called again: it must only read. It searches only while it
   * runs, one search at a time.
   *
   * @throws AuthenticatorError `unavailable` with the reason of each server, or `failed`
   * @throws any other error of `work`, and the reason of the signal
   */
  withService<T>(
    work: (connection: SearchConnection) => Promise<T>,
    options: DirectoryCall,
  ): Promise<ServerAnswer<T>>;

  /**
   * Binds once as a user, on a connection that is used for such binds only. Any answer of a server is final, even a
   * refusal: another server is asked only if one did not answer, or answered that it can't (51 busy, 52 unavailable).
   *
   * @throws as `withService`
   */
  bindUser(credentials: BindCredentials, options: BindCall): Promise<ServerAnswer<BindResult>>;

  /** Connects to every server and binds as the service account. `look` then looks for what the caller needs there. */
  check(
    look: (connection: SearchConnection) => Promise<void>,
    signal: AbortSignal,
  ): Promise<readonly ServerReport[]>;

  /** Is called after a change of the TLS files: no connection that was made before is used again. */
  renewConnections(): void;

  /** Ends connections, probes and timers. A second call does nothing. */
  close(): Promise<void>;
}

export type SearchConnection = Pick<LdapConnection, 'search'>;

export interface DirectoryCall {
  readonly signal: AbortSignal;
  /** The server that answered the step before: it is asked first, so that one login sees one state of the directory. */
  readonly prefer?: Server;
  /**
   * The DN of the user who logs in, where the server's work depends on that user: then the silence of a server that was
   * reached is not its failure. For a bind it is the DN of the bind.
   */
  readonly subject?: string;
}

export interface BindCall extends DirectoryCall {
  /**
   * Is called for each server that did not answer the bind within `serverTimeout` and still may: it
   * works on the bind, and counts the password in the end. Without this function the connection is
   * closed.
   *
   * @param answer rejects when the connection ends without one
   */
  readonly onLate?: (answer: Promise<BindResult>) => void;
  /** Is called for each server that was sent the bind, and whose connection ended before the answer: it may have counted the password. */
  readonly onUnanswered?: () => void;
}

export interface ServerAnswer<T> {
  readonly value: T;
  readonly server: Server;
}

export interface ServerReport {
  readonly server: Server;
  /** The problem and how to fix it, undefined if there is none. */
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
  /** The clock, in monotonic milliseconds. */
  readonly now: () => number;
  /** A number from 0, and below 1. */
  readonly random: () => number;
  /** Is called when a server whose circuit was open has recovered. */
  readonly backendReconnected?: (() => void) | undefined;
  /** Defaults to DNS, by `options.srv.nameServers`. */
  readonly resolveSrv?: ResolveSrv;
}
