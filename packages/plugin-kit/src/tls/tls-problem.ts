import type { PeerCertificate } from 'node:tls';
import { oneLine } from '../values/text.ts';

/** Node adds these to the errors of TLS, besides a code. */
interface TlsError extends NodeJS.ErrnoException {
  readonly cert?: PeerCertificate;
}

/** A message about a handshake says this of the server. */
export interface TlsPeer {
  /** The name or address that the certificate must have. */
  readonly name: string;
  /** The fix when the server answers, but not in TLS: it names ports and schemes of this protocol. */
  readonly noTls: string;
}

/**
 * Explanations by the code of an error: the first match counts. Codes that begin with ERR_SSL
 * are the texts of OpenSSL.
 */
const explanations: readonly (readonly [
  RegExp,
  string | ((peer: TlsPeer, error: TlsError) => string),
])[] = [
  [
    /^ERR_TLS_CERT_ALTNAME_INVALID$/,
    ({ name }, { cert }) =>
      `the server's certificate is not for ${name} but for ${oneLine(cert?.subjectaltname ?? String(cert?.subject.CN))}: ` +
      'use a name that it has in the URL, or set serverName',
  ],
  [
    /^(UNABLE_TO_|SELF_SIGNED_CERT|DEPTH_ZERO_SELF|CERT_SIGNATURE_FAILURE|CERT_UNTRUSTED|INVALID_CA)/,
    "the server's certificate is signed by a CA that is not trusted here: put the certificate of that CA into caFile",
  ],
  [
    /^CERT_HAS_EXPIRED$/,
    "the server's certificate, or one above it, has expired: renew it on the server, and check the clock here",
  ],
  [
    /^CERT_NOT_YET_VALID$/,
    "the server's certificate is not valid yet: check the clocks on both sides",
  ],
  [
    /^ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTPS?_(PROXY_)?REQUEST)$/,
    ({ noTls }) => `the server answers, but not in TLS: ${noTls}`,
  ],
  [
    /^ERR_SSL_.*(CERTIFICATE|UNKNOWN_CA)/,
    'the server refused the client certificate, or requires one: check certFile and keyFile, and the CAs that the server trusts',
  ],
  [
    /^ERR_SSL_.*(PROTOCOL|VERSION|HANDSHAKE_FAILURE|CIPHER)/,
    'the two sides have no version or cipher of TLS in common (check tls.minVersion), or the server requires a client certificate',
  ],
  [
    /^(ECONNRESET|EPIPE)$/,
    ({ noTls }) =>
      'the server closed the connection during the handshake: it may speak no TLS on this port, have no certificate, require a ' +
      `client certificate (certFile), or be blocked by something in between: ${noTls}`,
  ],
];

/** Explains why a handshake failed, and how to fix it. */
export function explainTls(
  error: TlsError,
  peer: TlsPeer,
): { kind: 'tls' | 'closed'; problem: string } {
  const code = readCode(error);
  const [, explanation = oneLine(error.message)] =
    explanations.find(([pattern]) => pattern.test(code)) ?? [];
  const problem = typeof explanation === 'string' ? explanation : explanation(peer, error);
  return { kind: /^(ECONNRESET|EPIPE)$/.test(code) ? 'closed' : 'tls', problem };
}

/** Whether an error is of TLS itself. It can come after the handshake: TLS 1.3 refuses client certificates then. */
export function isTlsError(error: NodeJS.ErrnoException): boolean {
  return /^ERR_SSL_/.test(readCode(error));
}

/**
 * A request that is written before the handshake has ended fails with EPROTO, and the reason of
 * OpenSSL in its message.
 */
function readCode({ code = '', message }: NodeJS.ErrnoException): string {
  const [, reason] = (code === 'EPROTO' && /:SSL routines:[^:]*:([^:]+):/.exec(message)) || [];
  return reason === undefined
    ? code
    : `ERR_SSL_${reason.toUpperCase().replaceAll(/[^A-Z0-9]+/g, '_')}`;
}
