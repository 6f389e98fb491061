import type { BindCredentials, BindResult, Connection, Server } from '../connection/types.ts';

/** The servers as one: failover, circuits, the pool of service connections, the bound on user binds. */
export interface Directory {
  /**
   * Gives `work` a connection that is bound as the service account, and takes it back afterwards. When `work` or the
   * way to it ends in a ServerFault, the next server is asked, so `work` may be called again: it must only read.
   *
   * @throws AuthenticatorError `unavailable` when no server could do it, naming each and its reason; `failed` when
   *   every connection stayed busy until the deadline
   * @throws what else `work` throws, and the reason of the signal
   */
  withService<T>(work: (connection: SearchConnection) => Promise<T>, options: DirectoryCall): Promise<Answered<T>>;

  /**
   * One bind as a user, on a connection made for it and closed after it. Any answer of a server is final, a refusal
   * too: only a server that did not answer, or that answered that it can't (51 busy, 52 unavailable), is passed over.
   *
   * @throws as `withService`
   */
  bindUser(credentials: BindCredentials, options: BindCall): Promise<Answered<BindResult>>;

  /** Connects to every server and binds as the service account; `look` then looks for what the caller needs there. */
  check(look: (connection: SearchConnection) => Promise<void>, signal: AbortSignal): Promise<readonly ServerReport[]>;

  /** After a change of the TLS files: no connection that was made before is used for another search. */
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
   * Whose login it is, as the directory names them, where the server's work depends on them: a server that was reached
   * and then is silent is not to blame. A bind's is its DN.
   */
  readonly subject?: string;
}

export interface BindCall extends DirectoryCall {
  /**
   * Called for each server that did not answer the bind within `serverTimeout`, and still may: it works on it, and
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
  /** In plain words, with the mend. Undefined: all is well. */
  readonly problem?: string;
}
