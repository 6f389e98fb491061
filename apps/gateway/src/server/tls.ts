import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { causeOf } from '../config/problems.ts';
import { readBytes } from '../config/read-text.ts';
import type { TlsConfig } from '../config/types.ts';
import { requireHostName, requireRoot, subjectOf, warnOfAuthority } from './certificate-rules.ts';

/** One certificate in force. */
interface CertificateInfo {
  /** The label of the expiry metric. */
  readonly certificate: 'server' | 'client-ca';
  readonly file: string;
  readonly subject: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** What TLS needs, read and found to fit together. */
export interface TlsMaterial {
  readonly minVersion: TlsConfig['minVersion'];
  readonly cert: Buffer;
  readonly key: Buffer;
  /** Undefined: nobody is asked for a certificate. */
  readonly client?: { readonly ca: Buffer; readonly names: readonly string[] };
  /** The server's own first, then those of the client CA. */
  readonly certificates: readonly CertificateInfo[];
  /** What works, but will not for everybody or not for long; for the log. */
  readonly warnings: readonly string[];
}

/** Of a certificate file, in bytes: all the world's CAs in one fit. */
const fileLimit = 4 * 1024 * 1024;

/** How long before its end a certificate is worth a warning at each load. Milliseconds: 14 days. */
const expiryWarning = 14 * 24 * 60 * 60 * 1000;

/**
 * Reads the files of `server.tls`. A server certificate that has ended is refused, so that on a reload the one in
 * force stays: every client would refuse it too, and at start a message says more than their errors. One that is not
 * yet valid is a warning: it mends itself, while a refusal would not be looked at again before the next change.
 *
 * @param now wall clock, milliseconds since 1970
 * @throws Error naming the file, what is wrong and the mend
 */
export async function readTlsMaterial(tls: TlsConfig, now: number = Date.now()): Promise<TlsMaterial> {
  const { cert, key, ca } = await readAll(tls);
  const chain = parseCertificates(cert, tls.certFile, 'certFile');
  requirePair(chain, parseKey(key, tls.keyFile), tls);
  const server = chain.slice(0, 1).map((certificate) => describe(certificate, 'server', tls.certFile));
  requireHostName(chain, tls.certFile);
  const caFile = tls.client?.caFile ?? '';
  const trusted = ca ? parseCertificates(ca, caFile, 'clientCAFile') : [];
  if (ca) requireRoot(trusted, caFile);
  const authorities = trusted.map((certificate) => describe(certificate, 'client-ca', caFile));
  requireCurrent(server, now, 'certFile: renew the certificate');
  if (ca) requireCurrent(authorities, now, 'clientCAFile: put the current CA there');
  const material = {
    minVersion: tls.minVersion,
    cert,
    key,
    ...(ca && tls.client && { client: { ca, names: tls.client.names } }),
    certificates: [...server, ...authorities],
    warnings: [
      ...warnOfChain(chain, tls.certFile),
      ...warnOfAuthority(trusted, caFile),
      ...[...server, ...authorities].flatMap((each) => warnOfTime(each, now)),
    ],
  };
  requireContext(material, tls);
  return material;
}

/**
 * For TLS 1.2: those of Mozilla's "intermediate", in its order, less the finite-field Diffie-Hellman. All of them have
 * forward secrecy and AEAD. HTTP/2 requires the one of RSA with AES-128 (RFC 9113 section 9.2.2). TLS 1.3 keeps its own.
 */
const ciphers = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

/** The part of it that a secure context is made of. All of it: without `ca` the system's roots would sign clients in. */
export function secureContext(tls: Pick<TlsMaterial, 'cert' | 'key' | 'minVersion' | 'client'>): SecureContextOptions {
  const { cert, key, minVersion, client } = tls;
  return { cert, key, minVersion, ciphers, ...(client && { ca: client.ca }) };
}

interface TlsFiles {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca: Buffer | undefined;
}

/** @throws AggregateError with an error for each file that can't be read */
async function readAll({ certFile, keyFile, client }: TlsConfig): Promise<TlsFiles> {
  const results = await Promise.allSettled([
    read(certFile, 'certFile'),
    read(keyFile, 'keyFile'),
    client && read(client.caFile, 'clientCAFile'),
  ]);
  const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  if (failures.length > 0) throw new AggregateError(failures, failures.map(causeOf).join('; '));
  const [cert, key, ca] = results.map((result) => (result.status === 'fulfilled' ? result.value : undefined));
  return { cert: cert ?? Buffer.alloc(0), key: key ?? Buffer.alloc(0), ca };
}

async function read(file: string, setting: string): Promise<Buffer> {
  try {
    return await readBytes(file, fileLimit);
  } catch (error) {
    throw new Error(`server.tls.${setting}: ${causeOf(error)}`, { cause: error });
  }
}

const pemCertificate = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

function parseCertificates(pem: Buffer, file: string, setting: string): X509Certificate[] {
  const blocks = pem.toString('latin1').match(pemCertificate) ?? [];
  if (blocks.length === 0) {
    throw new Error(`server.tls.${setting}: ${file} holds no PEM certificate ("-----BEGIN CERTIFICATE-----")`);
  }
  return blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch (error) {
      throw new Error(`server.tls.${setting}: certificate ${index + 1} of ${file} is damaged: copy it again`, {
        cause: error,
      });
    }
  });
}

/** The causes are left out: errors about a key are not to carry any of it. */
function parseKey(pem: Buffer, file: string): KeyObject {
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(pem.toString('latin1'))) {
    throw new Error(
      `server.tls.keyFile: the key in ${file} has a passphrase: store it without one, readable by this user only`,
    );
  }
  try {
    return createPrivateKey(pem);
  } catch {
    throw new Error(`server.tls.keyFile: ${file} holds no PEM private key ("-----BEGIN PRIVATE KEY-----")`);
  }
}

function requirePair([server, ...chain]: X509Certificate[], key: KeyObject, tls: TlsConfig): void {
  if (server?.checkPrivateKey(key)) return;
  if (chain.some((certificate) => certificate.checkPrivateKey(key))) {
    throw new Error(
      `server.tls.certFile: the server's own certificate must come first in ${tls.certFile}, its chain after it`,
    );
  }
  throw new Error(`server.tls: the key in ${tls.keyFile} does not belong to the certificate in ${tls.certFile}`);
}

/** Of several CAs one that is current is enough. */
function requireCurrent(certificates: readonly CertificateInfo[], now: number, mend: string): void {
  if (certificates.some(({ notAfter }) => now <= notAfter.getTime())) return;
  const [first] = certificates;
  throw new Error(
    `server.tls.${mend}: "${first?.subject}" in ${first?.file} expired at ${first?.notAfter.toISOString()}`,
  );
}

/** What only OpenSSL knows, such as keys too weak for its security level. */
function requireContext(material: TlsMaterial, tls: TlsConfig): void {
  try {
    createSecureContext(secureContext(material));
  } catch (error) {
    const reason = error instanceof Error && 'reason' in error ? String(error.reason) : 'unknown reason';
    throw new Error(`server.tls: TLS can't use ${tls.certFile} with ${tls.keyFile}: ${reason}`);
  }
}

function warnOfChain(chain: readonly X509Certificate[], file: string): string[] {
  const strays = chain.slice(1).filter((issuer, index) => !chain[index]?.checkIssued(issuer));
  return strays.map(
    (stray) =>
      `server.tls.certFile: ${file} is out of order: "${subjectOf(stray)}" did not issue what stands before it`,
  );
}

function warnOfTime({ certificate, file, subject, notBefore, notAfter }: CertificateInfo, now: number): string[] {
  const what = `${certificate} certificate "${subject}" in ${file}`;
  if (notBefore.getTime() > now) return [`the ${what} is not valid before ${notBefore.toISOString()}: check the clock`];
  if (notAfter.getTime() < now) return [`the ${what} expired at ${notAfter.toISOString()}`];
  return notAfter.getTime() - now < expiryWarning ? [`the ${what} expires at ${notAfter.toISOString()}: renew it`] : [];
}

function describe(certificate: X509Certificate, use: CertificateInfo['certificate'], file: string): CertificateInfo {
  return {
    certificate: use,
    file,
    subject: subjectOf(certificate),
    notBefore: certificate.validFromDate,
    notAfter: certificate.validToDate,
  };
}
