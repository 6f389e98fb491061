import type { TlsSettings } from '@sallyport/plugin-kit';
import type { Filter } from '../filter/filter.ts';

export interface Server {
  /**
   * The scheme, the host and always the port: `ldaps://ldap-a.example.com:636`. Metrics, logs and
   * errors name the server so.
   */
  readonly url: string;
  /** A name or an address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /**
   * `ldaps` is TLS from the first byte, `starttls` is RFC 4511 section 4.14, `insecure` is clear
   * text, which options must allow.
   */
  readonly security: 'ldaps' | 'starttls' | 'insecure';
}

export interface ConnectOptions {
  readonly server: Server;
  /** It is called when the handshake begins, so that a changed CA file applies to the next connection. */
  readonly tls: () => TlsSettings;
  /** Milliseconds for each step: TCP, TLS, StartTLS, and later each operation. */
  readonly stepTimeout: number;
  readonly signal: AbortSignal;
}

/** Opens one connection. @throws ServerError when the server is to blame, or the signal's reason */
export type Connect = (options: ConnectOptions) => Promise<LdapConnection>;

/**
 * One connection, which does one operation at a time: a second one before the end of the first is a bug of the caller
 * and throws a plain Error. Any error, timeout or abort closes it for good. Nothing is ever queued or sent twice.
 *
 * Every method throws a ServerError when the server is to blame, or the reason of an aborted signal.
 */
export interface LdapConnection {
  /**
   * Sends a simple bind.
   *
   * @param timeout in place of `stepTimeout`
   * @throws Error for an empty DN or password, which is not sent
   */
  bind(credentials: BindCredentials, signal: AbortSignal, timeout?: number): Promise<BindResult>;
  search(request: SearchRequest, signal: AbortSignal): Promise<SearchResult>;
  readonly isOpen: boolean;
  /**
   * Calls the listener once, at the close, with the error that caused it, if any. After the close
   * it calls it immediately.
   */
  onClose(listener: (error?: Error) => void): void;
  /** Closes the socket. It never throws, and a second call does nothing. */
  close(): void;
}

export interface BindCredentials {
  /** The DN as the directory sent it. */
  readonly dn: string;
  readonly password: string;
}

export interface BindResult {
  /** A result code (RFC 4511 section 4.1.9), which may be any number. */
  readonly code: number;
  /** Free text of the server. It shows reasons, and is logged for the service account. Callers never get it. */
  readonly diagnosticMessage: string;
  /**
   * The error of the password policy control (draft-behera-ldap-password-policy-11 section 6.2),
   * `unreadable` if it is malformed.
   */
  readonly passwordPolicyError?: number | 'unreadable';
  /** Whether the answer had the control 2.16.840.1.113730.3.4.4, 389-DS' "password expired, must be changed". */
  readonly passwordMustChange: boolean;
}

export interface SearchRequest {
  /** The DN as the directory sent it, or as the options have it. */
  readonly base: string;
  readonly scope: 'base' | 'one' | 'sub';
  readonly filter: Filter;
  /** The list is never empty: `['1.1']` asks for no attribute (RFC 4511 section 4.5.1.8). */
  readonly attributes: readonly string[];
  /** The maximum number of entries. 0 asks for no limit. */
  readonly sizeLimit: number;
  /** Seconds that the server may search, after which it answers with code 3. Left out: the server's own limit. */
  readonly timeLimit?: number;
  /** Bytes of the whole answer, 16 MiB by default. A larger answer is an error, `too-large`. */
  readonly maxBytes?: number;
}

export interface SearchResult {
  readonly code: number;
  readonly diagnosticMessage: string;
  /** The entries that came before the result, even if `code` is not 0. */
  readonly entries: readonly LdapEntry[];
  /** The URLs of servers that have other parts below the base (RFC 4511 section 4.5.3), which no one asks. Left out: none. */
  readonly references?: readonly string[];
}

/** Runs one search. @throws as `LdapConnection.search` */
export type Search = (request: SearchRequest) => Promise<SearchResult>;

export interface LdapEntry {
  /** The objectName, byte for byte. It is undefined if it is not UTF-8. */
  readonly dn: string | undefined;
  /** The keys are in lower case, options such as `;binary` included. Each attribute has one value or more. */
  readonly attributes: ReadonlyMap<string, readonly Buffer[]>;
}
