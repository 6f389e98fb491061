/** What a server was asked for when it failed. */
export type Step = 'connect' | 'tls' | 'starttls' | 'bind' | 'search';

/**
 * - `unreachable`: no TCP connection (refused, no route, no such host)
 * - `timeout`: silence, or not the end, within `serverTimeout`
 * - `closed`: the connection ended in the middle; nothing or a part was answered
 * - `tls`: the handshake failed (name, CA, version, client certificate)
 * - `protocol`: what came is no LDAP, or not an answer to what was asked
 * - `too-large`: an answer over the bound
 * - `shortage`: this machine lacks what a connection takes (file descriptors, ports, memory); no server is to blame
 * - `answer`: it answered that it can't (busy, unavailable, not bound, base missing, ...)
 */
export type FaultKind = 'unreachable' | 'timeout' | 'closed' | 'tls' | 'protocol' | 'too-large' | 'shortage' | 'answer';

/**
 * A server is to blame, not a login: the next server is asked, and this one's circuit counts it. A `shortage` is
 * not a server's: no circuit counts it.
 *
 * The message is for operators and names the server and the mend; it holds no DN of a user, no login, no password.
 */
export class ServerFault extends Error {
  override readonly name = 'ServerFault';
  readonly kind: FaultKind;
  readonly step: Step;

  constructor(kind: FaultKind, step: Step, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
    this.step = step;
  }
}
