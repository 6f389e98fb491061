import { constants, type X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { parseCertificates, parsePrivateKey, tlsFileLimit } from '@sallyport/plugin-kit';
import {
  describeCause,
  formatPath,
  nameSetting,
  type Path,
  SettingError,
} from '../config/problems.ts';
import { readBytes, withFix } from '../config/read-text.ts';
import type { TlsConfig } from '../config/types.ts';

/** The certificate, key and settings of TLS, read and checked to fit together. */
export interface TlsMaterial {
  readonly minVersion: TlsConfig['minVersion'];
  readonly cert: Buffer;
  readonly key: Buffer;
  /** It is undefined if client certificates are not required. */
  readonly client?: { readonly ca: Buffer; readonly names: readonly string[] };
  /** The server's own comes first, then the certificates of the client CA. */
  readonly certificates: readonly ReturnType<typeof describe>[];
  /** Texts for the log of what works, but not for all clients or not for long. */
  readonly warnings: readonly string[];
}

/** The milliseconds before its end in which a certificate causes warnings: 14 days. */
const expiryWarning = 14 * 24 * 60 * 60 * 1000;

/** The server whose TLS it is: the review server, or the login server. */
type Owner = 'server' | 'login';

/**
 * Reads the files of `server.tls`, or of `login.tls`. A server certificate that has expired is refused. One that is not yet
 * valid is only a warning, since it becomes valid by itself, while a refusal would last until the next change.
 *
 * @param owner for messages, and the label of its certificate
 * @param now wall clock, milliseconds since 1970
 * @throws FixableError naming the file and the problem
 */
export async function readTlsMaterial(
  tls: TlsConfig,
  owner: Owner = 'server',
  now: number = Date.now(),
): Promise<TlsMaterial> {
  const section = [owner, 'tls'];
  const setting = formatPath(section);
  const { certFile, keyFile, minVersion, client } = tls;
  const caFile = client?.caFile ?? '';
  const { cert, key, ca } = await readFiles(tls, section);
  const chain = parse([...section, 'certFile'], certFile, () => parseCertificates(cert));
  const privateKey = parse([...section, 'keyFile'], keyFile, () => parsePrivateKey(key));
  const [leaf] = chain;
  if (!leaf?.checkPrivateKey(privateKey)) {
    throw new SettingError({
      path: section,
      message: `the key in ${keyFile} does not belong to the certificate in ${certFile}`,
      fix: chain.some((certificate) => certificate.checkPrivateKey(privateKey))
        ? `put the server's own certificate first in ${certFile}`
        : `name the key of this certificate in ${setting}.keyFile`,
    });
  }
  requireAcceptable(leaf, certFile, section);
  const caPath = [...section, 'clientCAFile'];
  const trusted = ca ? parse(caPath, caFile, () => parseCertificates(ca)) : [];
  const warnings = [
    ...warnOfChain(chain, certFile, setting),
    ...checkAuthorities(trusted, caFile, caPath),
  ];
  const server = describe(leaf, owner, certFile);
  const authorities = trusted.map((certificate) => describe(certificate, 'client-ca', caFile));
  requireCurrent([server], now, [...section, 'certFile'], 'renew the certificate');
  if (ca) requireCurrent(authorities, now, caPath, 'put the current CA there');
  const certificates = [server, ...authorities];
  warnings.push(...certificates.flatMap((certificate) => warnOfTime(certificate, now)));
  const trust = ca && client && { client: { ca, names: client.names } };
  const material = { minVersion, cert, key, ...trust, certificates, warnings };
  requireContext(material, tls, section);
  return material;
}

/**
 * The cipher suites for TLS 1.2 are those of Mozilla's "intermediate" configuration, in its order, without finite-field
 * Diffie-Hellman. All of them have forward secrecy and AEAD. HTTP/2 requires RSA with AES-128 (RFC 9113 section 9.2.2).
 * TLS 1.3 has its own.
 */
const ciphers = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

/**
 * The groups for key exchange where anyone can be a client: each takes less than half a millisecond, while P-384, P-521
 * and finite-field Diffie-Hellman take four to nine times as long. Every client of today has one of them. Client
 * certificates may be on other curves.
 */
const groups = 'X25519MLKEM768:X25519:P-256';

/**
 * Makes the options of a secure context. They must include `ca`: without it, clients of the system's CAs would be
 * trusted.
 */
export function secureContext({
  cert,
  key,
  minVersion,
  client,
}: TlsMaterial): SecureContextOptions {
  // Renegotiation is a handshake that no limit of connections counts.
  const secureOptions = constants.SSL_OP_NO_RENEGOTIATION;
  return {
    cert,
    key,
    minVersion,
    ciphers,
    secureOptions,
    ...(client ? { ca: client.ca } : { ecdhCurve: groups }),
  };
}

/** Reads the files. @throws AggregateError with an error for each file that can't be read */
async function readFiles({ certFile, keyFile, client }: TlsConfig, section: Path) {
  const failures: Error[] = [];
  const readTlsFile = async (key: string, file: string) => {
    try {
      return await readBytes(file, tlsFileLimit);
    } catch (error) {
      failures.push(nameSetting(withFix(error), [...section, key]));
      return Buffer.alloc(0);
    }
  };
  const cert = await readTlsFile('certFile', certFile);
  const key = await readTlsFile('keyFile', keyFile);
  const ca = client && (await readTlsFile('clientCAFile', client.caFile));
  if (failures.length > 0)
    throw new AggregateError(failures, failures.map(describeCause).join('; '));
  return { cert, key, ca };
}

function parse<Parsed>(path: Path, file: string, parseContent: () => Parsed): Parsed {
  try {
    return parseContent();
  } catch (error) {
    throw nameSetting(error, path, (message) => `${file} ${message}`);
  }
}

/** The OIDs of `serverAuth` and `anyExtendedKeyUsage` (RFC 5280 section 4.2.1.12). */
const usagesOfServers = ['1.3.6.1.5.5.7.3.1', '2.5.29.37.0'];

/** Requires of a server's certificate what clients check. @throws Error for one that they would refuse */
function requireAcceptable(leaf: X509Certificate, file: string, section: Path): void {
  const clients = section[0] === 'login' ? 'clients' : 'kube-apiserver';
  const refusal = (problem: string, field: string) =>
    new SettingError({
      path: [...section, 'certFile'],
      message: `the certificate "${formatSubject(leaf)}" in ${file} ${problem}, so ${clients} would refuse it`,
      fix: `issue a new certificate with ${field}`,
    });
  // Go's clients always refuse a certificate without an alternative name of a host.
  if (!/(^|, )(DNS|IP Address):/.test(leaf.subjectAltName ?? ''))
    throw refusal('has no subject alternative name of a host', 'subjectAltName=DNS:… or IP:…');
  // A certificate without an extended key usage is for any use.
  const usages: readonly string[] | undefined = leaf.keyUsage;
  if (usages && !usages.some((usage) => usagesOfServers.includes(usage)))
    throw refusal(
      'is not for servers (its extended key usage lacks serverAuth)',
      'extendedKeyUsage=serverAuth',
    );
}

/**
 * Checks the client CA: OpenSSL accepts only clients whose chain ends in a self-issued certificate of the file.
 *
 * @returns a warning if that is the certificate of one client, or the wrong one
 * @throws Error if the file has none: no client would be accepted
 */
function checkAuthorities(
  certificates: readonly X509Certificate[],
  file: string,
  path: Path,
): string[] {
  const authority = certificates.find(({ ca }) => ca);
  const named = authority ?? certificates[0];
  if (named === undefined) return [];
  const title = `"${formatSubject(named)}" in ${file}`;
  if (!certificates.some(({ subject, issuer }) => subject === issuer)) {
    const [message, fix] =
      authority === undefined
        ? [
            `${title} is not a CA certificate, so no client would be accepted`,
            'put the CA there that signs the client certificates',
          ]
        : [
            `${title} is an intermediate CA, so no client would be accepted without its root`,
            'add the root certificate to the file',
          ];
    throw new SettingError({ path, message, fix });
  }
  if (authority !== undefined) return [];
  return [
    `${formatPath(path)}: ${title} is not marked as a CA certificate (basicConstraints CA:TRUE): at most a client that presents it itself is accepted`,
  ];
}

/**
 * Requires that a certificate has not expired. If there are several CAs, one of them is enough.
 *
 * @throws Error with the first
 */
function requireCurrent(
  certificates: TlsMaterial['certificates'],
  now: number,
  path: Path,
  fix: string,
): void {
  if (certificates.some(({ notAfter }) => now <= notAfter.getTime())) return;
  const [firstCertificate] = certificates;
  throw new SettingError({
    path,
    message: `"${firstCertificate?.subject}" in ${firstCertificate?.file} expired at ${firstCertificate?.notAfter.toISOString()}`,
    fix,
  });
}

/** Reports what only OpenSSL knows, for example a key that is too weak for its security level. */
function requireContext(material: TlsMaterial, tls: TlsConfig, section: Path): void {
  try {
    createSecureContext(secureContext(material));
  } catch (error) {
    const reason =
      error instanceof Error && 'reason' in error ? String(error.reason) : 'unknown reason';
    throw new SettingError({
      path: section,
      message: `TLS can't use ${tls.certFile} with ${tls.keyFile}: ${reason}`,
      fix: reason.endsWith('key too small')
        ? 'issue a certificate for an RSA key of 2048 bits or more, or for an EC key'
        : undefined,
    });
  }
}

function warnOfChain(chain: readonly X509Certificate[], file: string, setting: string): string[] {
  const strays = chain.slice(1).filter((issuer, index) => !chain[index]?.checkIssued(issuer));
  const title = `${setting}.certFile: ${file} is out of order`;
  return strays.map(
    (stray) => `${title}: "${formatSubject(stray)}" did not issue the certificate before it`,
  );
}

/** Warns of a certificate that is not yet valid, has expired, or expires within 14 days. @param now milliseconds since 1970 */
export function warnOfTime(
  { certificate, file, subject, notBefore, notAfter }: ReturnType<typeof describe>,
  now: number,
): string[] {
  const title = `${certificate} certificate "${subject}" in ${file}`;
  if (notBefore.getTime() > now)
    return [`the ${title} is not valid before ${notBefore.toISOString()}: check the clock`];
  if (notAfter.getTime() < now) return [`the ${title} expired at ${notAfter.toISOString()}`];
  return notAfter.getTime() - now < expiryWarning
    ? [`the ${title} expires at ${notAfter.toISOString()}: renew it`]
    : [];
}

/** Describes a certificate. @param certificate the label of the expiry metric */
function describe(x509: X509Certificate, certificate: Owner | 'client-ca', file: string) {
  return {
    certificate,
    file,
    subject: formatSubject(x509),
    notBefore: x509.validFromDate,
    notAfter: x509.validToDate,
  };
}

/** Writes the subject in one line. */
export function formatSubject(certificate: X509Certificate): string {
  return certificate.subject.replaceAll('\n', ', ');
}
