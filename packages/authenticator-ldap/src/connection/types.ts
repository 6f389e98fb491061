import type { TlsSettings } from '@sallyport/plugin-options';
import type { Filter } from '../filter/filter.ts';

/** One directory server, as one URL of the options or one SRV record names it. */
export interface Server {
  /** Scheme, host and port, always with the port: `ldaps://ldap-a.example.com:636`. The label in metrics, logs, errors. */
  readonly url: string;
  /** A name or an address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** `ldaps`: TLS from the first byte. `starttls`: RFC 4511 section 4.14. `insecure`: clear text, allowed explicitly in the options. */
  readonly security: 'ldaps' | 'starttls' | 'insecure';
}

export interface ConnectOptions {
  readonly server: Server;
  /** Called when the handshake begins, so that a changed CA file applies to the next connection. */
  readonly tls: () => TlsSettings;
  /** Milliseconds for each step: TCP, TLS, StartTLS, and later each request until its last answer. */
  readonly stepTimeout: number;
  /** Ends the attempt to connect, and with it every socket of it. */
  readonly signal: AbortSignal;
}

/** Opens one connection. @throws ServerError when the server is to blame, or the signal's reason */
export type Connect = (options: ConnectOptions) => Promise<Connection>;

/**
 * One connection, which does one operation at a time: a second one before the end of the first is a bug of the caller
 * and throws a plain Error. Any error, timeout or abort closes it for good; nothing is ever queued or sent twice.
 *
 * Every method throws a ServerError when the server is to blame, or the reason of an aborted signal.
 */
export interface Connection {
  /** A simple bind. @param timeout in place of `stepTimeout` @throws Error for an empty DN or password, unsent */
  bind(credentials: BindCredentials, signal: AbortSignal, timeout?: number): Promise<BindResult>;
  search(request: SearchRequest, signal: AbortSignal): Promise<SearchResult>;
  /** False once it was closed by either side. */
  readonly isOpen: boolean;
  /** Calls the listener once, at the close, with the error that caused it, if any; at once if it is closed already. */
  onClose(listener: (error?: Error) => void): void;
  /** Closes the socket. Never throws; a second call does nothing. */
  close(): void;
}

export interface BindCredentials {
  /** As the directory sent it. */
  readonly dn: string;
  readonly password: string;
}

export interface BindResult {
  /** RFC 4511 section 4.1.9; any number. */
  readonly code: number;
  /** Free text of the server, to recognize reasons and for logs about the service account. Never for callers. */
  readonly diagnosticMessage: string;
  /** Of the password policy control (draft-behera-ldap-password-policy-11 section 6.2). `unreadable`: malformed. */
  readonly passwordPolicyError?: number | 'unreadable';
  /** The answer had the control 2.16.840.1.113730.3.4.4, 389-DS' "password expired, must be changed". */
  readonly passwordMustChange: boolean;
}

export interface SearchRequest {
  /** As the directory sent it, or as the options have it. */
  readonly base: string;
  readonly scope: 'base' | 'one' | 'sub';
  readonly filter: Filter;
  /** Never empty: `['1.1']` asks for none (RFC 4511 section 4.5.1.8). */
  readonly attributes: readonly string[];
  /** Entries; 0 asks for no limit. */
  readonly sizeLimit: number;
  /** Seconds that the server may search, after which it answers with code 3. Left out: the server's own limit. */
  readonly timeLimit?: number;
  /** Bytes of the whole answer; a larger one is an error, `too-large`. Left out: 16 MiB. */
  readonly maxBytes?: number;
}

export interface SearchResult {
  readonly code: number;
  readonly diagnosticMessage: string;
  /** The entries before the result, also when `code` is not 0. References (RFC 4511 section 4.5.3) are left out. */
  readonly entries: readonly Entry[];
}

export interface Entry {
  /** The objectName, byte for byte. Undefined if it is not UTF-8. */
  readonly dn: string | undefined;
  /** Keys are lower case, options such as `;binary` included. Each attribute has one value or more. */
  readonly attributes: ReadonlyMap<string, readonly Buffer[]>;
}
