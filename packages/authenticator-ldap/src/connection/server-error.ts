import type { Server } from './types.ts';

/** What a server was asked for when it failed. */
export type Step = 'connect' | 'tls' | 'starttls' | 'bind' | 'search';

/**
 * - `unreachable`: no TCP connection (refused, no route, no such host)
 * - `timeout`: no answer, or not all of it, within `serverTimeout`
 * - `closed`: the connection ended before the whole answer came
 * - `tls`: the handshake failed (name, CA, version, client certificate)
 * - `protocol`: the bytes are not LDAP, or not an answer to the request
 * - `too-large`: an answer over the limit
 * - `shortage`: this machine lacks what a connection takes (file descriptors, ports, memory); no server is to blame
 * - `answer`: it answered that it can't (busy, unavailable, not bound, base missing, ...)
 */
export type ServerErrorKind =
  | 'unreachable'
  | 'timeout'
  | 'closed'
  | 'tls'
  | 'protocol'
  | 'too-large'
  | 'shortage'
  | 'answer';

/**
 * A server is to blame, not a login: the next server is asked, and this one's circuit counts it. A `shortage` is
 * no server's: no circuit counts it.
 *
 * The message is for operators. It names the server and the fix, and holds no DN of a user, no login, no password.
 */
export class ServerError extends Error {
  override readonly name = 'ServerError';
  readonly kind: ServerErrorKind;
  readonly step: Step;

  constructor(kind: ServerErrorKind, step: Step, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
    this.step = step;
  }
}

/** Makes the errors of one step with one server; messages are "url: step: problem". */
export type MakeError = (kind: ServerErrorKind, problem: string, cause?: unknown) => ServerError;

const stepNames: Readonly<Record<Step, string>> = {
  connect: 'connecting',
  tls: 'TLS',
  starttls: 'StartTLS',
  bind: 'bind',
  search: 'search',
};

export function errorsOf(server: Server, step: Step): MakeError {
  return (kind, problem, cause) =>
    new ServerError(kind, step, `${server.url}: ${stepNames[step]}: ${problem}`, cause === undefined ? {} : { cause });
}

/** The bytes of a server cannot be used; the connection makes a ServerError of the same kind of it. */
export class WireError extends Error {
  override readonly name = 'WireError';
  readonly kind: 'protocol' | 'too-large';

  constructor(kind: WireError['kind'], message: string) {
    super(message);
    this.kind = kind;
  }
}
