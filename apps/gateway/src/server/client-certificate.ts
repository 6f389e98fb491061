import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Logger } from '@sallyport/authenticator';
import { createLogLimiter } from '../logging/log-limiter.ts';
import { http2Stream, type ServerRequest } from './protocol.ts';
import { StatusError } from './status.ts';

/** What one connection's certificate comes to. Reading it takes 30 µs, so it is done once. */
interface Reading {
  readonly subject: string;
  /** Wall-clock milliseconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** The list the names were held against, and what came of it. */
  readonly allowed: readonly string[];
  readonly named: boolean;
}

export interface ClientCheckDependencies {
  /** `server.tls.clientNames` as they are now; undefined when nobody is asked for a certificate. */
  readonly names: () => readonly string[] | undefined;
  /** Told of a request whose certificate has ended: its connection is of no more use. */
  readonly onEnded: (request: ServerRequest) => void;
  /** Told of a request whose certificate has a wrong name. */
  readonly onWrongName: (request: ServerRequest) => void;
  readonly logger: Logger;
  /** Wall clock, milliseconds since 1970. */
  readonly now: () => number;
}

/**
 * Lets those clients in whose certificate the CA signed (TLS saw to that) and bears one of `server.tls.clientNames`.
 *
 * @returns gives the certificate's subject, undefined when nobody is asked for one; throws StatusError 403 for everybody
 * else, naming the subject and the setting
 */
export function createClientCheck(
  dependencies: ClientCheckDependencies,
): (request: ServerRequest) => string | undefined {
  const readings = new WeakMap<object, Reading>();
  const limit = createLogLimiter(() => performance.now());
  // A client with a certificate of the CA may connect again and again, and hundreds of kubelets have one.
  const report = (subject: string) => {
    const unloggedSince = limit('wrong name');
    const fields = { subject, ...(unloggedSince !== undefined && unloggedSince > 0 && { unloggedSince }) };
    dependencies.logger[unloggedSince === undefined ? 'debug' : 'warn'](
      fields,
      'a client certificate has a wrong name',
    );
  };
  return (request) => {
    const names = dependencies.names();
    if (names === undefined) return undefined;
    // Of HTTP/2, `socket` is a new proxy at each call: the session is what stands for the connection.
    const connection = http2Stream(request)?.session ?? request.socket;
    let reading = readings.get(connection);
    if (reading?.allowed !== names) {
      reading = read(request.socket as TLSSocket, names);
      readings.set(connection, reading);
      if (!reading.named) report(reading.subject);
    }
    if (!reading.named) {
      dependencies.onWrongName(request);
      throw forbidden(
        `the client certificate of "${reading.subject}" bears none of the names in server.tls.clientNames`,
      );
    }
    const now = dependencies.now();
    if (now < reading.notBefore || now > reading.notAfter) {
      dependencies.onEnded(request);
      const fault = now > reading.notAfter ? 'has expired since the connection was made' : 'is not valid yet';
      throw forbidden(`the client certificate of "${reading.subject}" ${fault}`);
    }
    return reading.subject;
  };
}

function forbidden(message: string): StatusError {
  return new StatusError(403, message);
}

function read(socket: TLSSocket, allowed: readonly string[]): Reading {
  const certificate = socket.authorized ? socket.getPeerX509Certificate() : undefined;
  if (certificate === undefined) {
    throw forbidden('a client certificate is needed: see server.tls.clientCAFile and server.tls.clientNames');
  }
  return {
    subject: certificate.subject.replaceAll('\n', ', '),
    notBefore: certificate.validFromDate.getTime(),
    notAfter: certificate.validToDate.getTime(),
    allowed,
    named: bearsName(certificate, allowed),
  };
}

/**
 * Whether the certificate's common name, or one of its subject alternative names (DNS, URI, email, IP), is exactly one
 * of `allowed`. IP addresses are compared as addresses. Of several common names none counts: which one is meant
 * differs from one implementation to the next.
 */
export function bearsName(certificate: X509Certificate, allowed: readonly string[]): boolean {
  const commonName: unknown = certificate.toLegacyObject().subject.CN;
  const names = subjectAltNames(certificate.subjectAltName ?? '');
  if (typeof commonName === 'string') names.push(commonName);
  return allowed.some((name) => names.includes(name) || (isIP(name) !== 0 && certificate.checkIP(name) !== undefined));
}

/**
 * Takes Node's text of the extension apart: `TYPE:value, TYPE:value`. A value that holds a comma or a quote stands in it
 * as a JSON string, with commas as `\u002c` (CVE-2021-44532), so that no name can be read as two.
 */
function subjectAltNames(text: string): string[] {
  return text.split(', ').flatMap((entry) => {
    const value = /^(?:DNS|URI|email):(.*)$/s.exec(entry)?.[1];
    if (value === undefined) return [];
    return [value.startsWith('"') ? String(JSON.parse(value)) : value];
  });
}
