import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Logger } from '@sallyport/authenticator';
import { createLimitedLog } from '../base/logging/log-limiter.ts';
import { printable } from '../base/logging/printable.ts';
import { findTransport, type ServerRequest, type Transport } from '../http/http-server.ts';
import { StatusError } from '../http/kubernetes-status.ts';
import { formatSubject } from '../http/tls.ts';

/**
 * Admits clients whose certificate the CA signed (TLS has checked that) and has one of `server.tls.clientNames`.
 *
 * @param currentNames the current `server.tls.clientNames`; undefined if client certificates are not required
 */
export function createClientCheck(
  currentNames: () => readonly string[] | undefined,
  logger: Logger,
) {
  const readings = new WeakMap<Transport, Reading>();
  const warn = createLimitedLog(logger, () => performance.now(), 'warn');
  // A client with a certificate of the CA can connect again and again, and hundreds of kubelets have one.
  const report = ({ subject, names }: Reading) => {
    const fields = { subject: printable(subject), names: names.slice(0, maxShown) };
    warn('wrong name', fields, 'client certificate name is not in server.tls.clientNames');
  };
  /** Reads the certificate of a connection, again only when the names have changed. */
  const readOnce = (transport: Transport, names: readonly string[]): Reading | undefined => {
    const cached = readings.get(transport);
    if (cached?.allowed === names) return cached;
    const reading = read(transport, names);
    if (reading === undefined) return undefined;
    readings.set(transport, reading);
    if (!reading.isAllowed) report(reading);
    return reading;
  };
  return {
    /** Returns the fingerprint of a client whose certificate has a wrong name, and undefined for other clients. */
    identifyRefused(transport: Transport): string | undefined {
      const names = currentNames();
      const reading = names && readOnce(transport, names);
      return reading?.isAllowed === false ? reading.fingerprint : undefined;
    },
    /**
     * Checks the client of a request.
     *
     * @param retire makes a client reconnect
     * @returns the subject of the certificate, or undefined if none is required
     * @throws StatusError 403 with the subject and the setting, for a client that is not admitted
     */
    check(request: ServerRequest, retire: (request: ServerRequest) => void): string | undefined {
      const names = currentNames();
      if (names === undefined) return undefined;
      const reading = readOnce(findTransport(request), names);
      if (reading === undefined) {
        throw new StatusError(
          403,
          'a client certificate is required: see server.tls.clientCAFile and server.tls.clientNames',
        );
      }
      const { subject, names: shownNames, notBefore, notAfter, isAllowed } = reading;
      if (!isAllowed) {
        const problem = `the client certificate "${printable(subject)}" has none of the names in server.tls.clientNames`;
        throw new StatusError(403, `${problem}: ${listed(shownNames)}`);
      }
      const now = Date.now();
      if (now < notBefore || now > notAfter) {
        // No later request of its connection can be answered.
        retire(request);
        const problem =
          now > notAfter ? 'has expired since the connection was made' : 'is not valid yet';
        throw new StatusError(403, `the client certificate "${subject}" ${problem}`);
      }
      return subject;
    },
  };
}

export type ClientCheck = ReturnType<typeof createClientCheck>;

type Reading = NonNullable<ReturnType<typeof read>>;

/**
 * Reads the certificate of a connection, and compares it with the names. It takes 30 µs, so it is done once.
 *
 * @returns undefined if there is none
 */
function read(transport: Transport, allowed: readonly string[]) {
  const socket = ('socket' in transport ? transport.socket : transport) as TLSSocket | undefined;
  const certificate = socket?.authorized ? socket.getPeerX509Certificate() : undefined;
  if (certificate === undefined) return undefined;
  const isAllowed = hasName(certificate, allowed);
  return {
    subject: formatSubject(certificate),
    fingerprint: certificate.fingerprint256,
    /** For messages; empty for a client that is let in. */
    names: isAllowed ? [] : [...new Set(listNames(certificate).map(shown))],
    notBefore: certificate.validFromDate.getTime(),
    notAfter: certificate.validToDate.getTime(),
    allowed,
    isAllowed,
  };
}

/**
 * The maximum numbers of names in a message and of characters of each: a certificate may have hundreds of names, of any
 * length.
 */
const maxShown = 8;
const maxCharacters = 100;

function shown(name: string): string {
  return printable(name.length > maxCharacters ? `${name.slice(0, maxCharacters)}…` : name);
}

/** Lists the names in a message, as they would be in `clientNames`. */
function listed(names: readonly string[]): string {
  if (names.length === 0) return 'it has no name that counts';
  const remainder = names.length > maxShown ? ` and ${names.length - maxShown} more` : '';
  return `its names are ${names.slice(0, maxShown).join(', ')}${remainder}`;
}

/**
 * Whether the certificate's common name, or one of its subject alternative names (DNS, URI, email, IP), is exactly one
 * of `allowed`. IP addresses are compared as addresses. Of several common names none counts: implementations differ in
 * which one they use.
 */
export function hasName(certificate: X509Certificate, allowed: readonly string[]): boolean {
  const names = listNames(certificate);
  return allowed.some(
    (name) => names.includes(name) || (isIP(name) !== 0 && certificate.checkIP(name) !== undefined),
  );
}

/** Lists the names of a certificate that `clientNames` may have. */
function listNames(certificate: X509Certificate): string[] {
  const commonName: unknown = certificate.toLegacyObject().subject.CN;
  const names = subjectAltNames(certificate.subjectAltName ?? '');
  return typeof commonName === 'string' ? [commonName, ...names] : names;
}

/**
 * Parses Node's text of the extension: `TYPE:value, TYPE:value`. A value with a comma or a quote is in it as a JSON
 * string, with commas as `\u002c` (CVE-2021-44532), so that no name can be read as two.
 */
function subjectAltNames(text: string): string[] {
  return text.split(', ').flatMap((entry) => {
    const value = /^(?:DNS|URI|email|IP Address):(.*)$/s.exec(entry)?.[1];
    if (value === undefined) return [];
    return [value.startsWith('"') ? String(JSON.parse(value)) : value];
  });
}
