import type { Server } from './types.ts';

/** What a server was asked for when it failed, and how messages name it. */
const stepNames = { connect: 'connecting', tls: 'TLS', starttls: 'StartTLS', bind: 'bind', search: 'search' } as const;

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
 * A server is to blame, not a login: the next server is asked, and this one's circuit counts it. A `shortage` is
 * no server's: no circuit counts it.
 *
 * The message is for operators. It names the server and the fix, and holds no DN of a user, no login, no password.
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
 * A connection that was used before did not answer any more. A firewall may have dropped it, so that the server is not
 * to blame: a fresh connection is worth a try when no other server is left.
 */
export class StaleConnection extends ServerError {
  override readonly name = 'StaleConnection';
}

/**
 * A server was not asked, for a reason that its circuit has counted already or must not count: the next one is asked.
 * It never leaves the directory: when no server is left, its message becomes part of the AuthenticatorError's.
 */
export class ServerSkipped extends Error {
  override readonly name = 'ServerSkipped';
  readonly reason:
    | 'busy' // all its connections stayed in use
    | 'refused' // it refuses the service account
    | 'unavailable'; // its circuit is open, its first connection is not there yet, or it has left the list of servers

  constructor(reason: ServerSkipped['reason'], message: string) {
    super(message);
    this.reason = reason;
  }
}

/** Makes the errors of one step with one server; messages are "url: step: problem". */
export function errorsOf(server: Server, step: Step) {
  return (kind: ServerErrorKind, problem: string, cause?: unknown): ServerError =>
    new ServerError(kind, step, `${server.url}: ${stepNames[step]}: ${problem}`, cause === undefined ? {} : { cause });
}

export type MakeError = ReturnType<typeof errorsOf>;

/** The bytes of a server cannot be used; the connection makes a ServerError of the same kind of it. */
export class WireError extends Error {
  override readonly name = 'WireError';
  readonly kind: 'protocol' | 'too-large';

  constructor(kind: WireError['kind'], message: string) {
    super(message);
    this.kind = kind;
  }
}
