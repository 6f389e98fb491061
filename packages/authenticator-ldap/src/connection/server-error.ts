import type { Server } from './types.ts';

const stepNames = {
  connect: 'connecting',
  tls: 'TLS',
  starttls: 'StartTLS',
  bind: 'bind',
  search: 'search',
} as const;

export type Step = keyof typeof stepNames;

export type ServerErrorKind =
  | 'unreachable' // no TCP connection (refused, no route, no such host)
  | 'timeout' // no answer, or not all of it, within `serverTimeout`
  | 'closed' // the connection ended before the whole answer came
  | 'tls' // the handshake failed (name, CA, version, client certificate)
  | 'protocol' // the bytes are not LDAP, or not an answer to the request
  | 'too-large' // an answer over the limit
  | 'shortage' // this machine lacks what a connection takes (file descriptors, ports, memory); no server is to blame
  | 'answer'; // it answered that it can't (busy, unavailable, not bound, base missing, ...)

/**
 * The server failed, not the login: the next server is asked, and the circuit of this one counts
 * the failure. No circuit counts a `shortage`.
 *
 * The message is for operators. It names the server and the fix, and contains no DN of a user, no
 * login, no password.
 */
export class ServerError extends Error {
  override readonly name: string = 'ServerError';
  readonly kind: ServerErrorKind;
  readonly step: Step;

  constructor(kind: ServerErrorKind, step: Step, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
    this.step = step;
  }
}

/**
 * A connection that was used before did not answer any more. A firewall may have dropped it without any failure of the
 * server: a fresh connection is worth an attempt when no other server is left.
 */
export class StaleConnection extends ServerError {
  override readonly name = 'StaleConnection';
}

/**
 * A server was not asked, for a reason that its circuit has counted already or must not count: the
 * next one is asked. This error never leaves the directory: when no server is left, its message
 * becomes a part of the AuthenticatorError's.
 */
export class ServerSkipped extends Error {
  override readonly name = 'ServerSkipped';
  readonly reason:
    | 'busy' // all its connections stayed in use
    | 'refused' // the server refuses the service account
    | 'unavailable'; // its circuit is open, its first connection is not there yet, or it has left the list of servers

  constructor(reason: ServerSkipped['reason'], message: string) {
    super(message);
    this.reason = reason;
  }
}

/** Creates the function that makes the errors of one step with one server. Their messages are "url: step: problem". */
export function createErrors(server: Server, step: Step) {
  return (kind: ServerErrorKind, problem: string, cause?: unknown): ServerError =>
    new ServerError(
      kind,
      step,
      `${server.url}: ${stepNames[step]}: ${problem}`,
      cause === undefined ? {} : { cause },
    );
}

export type MakeError = ReturnType<typeof createErrors>;

/** The bytes of a server can't be used. The connection turns this error into a ServerError of the same kind. */
export class WireError extends Error {
  override readonly name = 'WireError';
  readonly kind: 'protocol' | 'too-large';

  constructor(kind: WireError['kind'], message: string) {
    super(message);
    this.kind = kind;
  }
}
