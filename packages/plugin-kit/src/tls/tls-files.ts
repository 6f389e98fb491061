import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { PluginContext } from '@sallyport/authenticator';
import { oneLine } from '../values/text.ts';
import type { TlsOptions } from './tls.ts';

type Pair = Pick<TlsSettings, 'certificate' | 'key'>;

/** A TLS handshake needs these settings. Certificates and keys are PEM. */
export interface TlsSettings {
  /** Defaults to the CAs of Node. */
  readonly ca?: Buffer;
  readonly certificate?: Buffer;
  readonly key?: Buffer;
  /** The name that is checked against the certificate, and sent as SNI, in place of the host. */
  readonly serverName?: string;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
}

/**
 * Reads the TLS files of the options and follows their changes. A file that can't be used is refused, and the previous file
 * stays in force. A new certificate and its key take effect together, once they match.
 *
 * @param onChange is called when the settings for handshakes have changed
 * @returns a function that returns the settings for the next handshake
 * @throws Error naming the option, the file and how to fix it, never quoting the content
 */
export async function watchTlsFiles(
  { caFile, certFile, keyFile, serverName, minVersion }: TlsOptions,
  { watchFile, logger }: Pick<PluginContext, 'watchFile' | 'logger'>,
  onChange: () => void,
): Promise<() => TlsSettings> {
  let ca: Buffer | undefined;
  let pair: Pair | undefined;
  const latest: Pair = {};

  async function watch(
    option: string,
    file: string | undefined,
    take: (pem: Buffer) => void,
  ): Promise<void> {
    if (file === undefined) return;
    const load = (pem: Buffer) => {
      try {
        take(pem);
      } catch (error) {
        throw new Error(
          `${option}: ${file} ${error instanceof Error ? error.message : "can't be read"}`,
        );
      }
      logger.info({ option, file }, 'TLS file loaded, for new connections');
      onChange();
    };
    await watchFile(file, load, { secret: option === 'keyFile', limit: tlsFileLimit });
  }

  /** Remembers a file even if the other one does not match yet: once that has changed as well, both take effect. */
  function takePair(half: Pair): void {
    const { certificate, key } = Object.assign(latest, half);
    if (certificate === undefined || key === undefined) return;
    try {
      createSecureContext({ cert: certificate, key });
    } catch {
      throw new Error(
        'does not match yet: certFile and keyFile are not a pair. The certificate itself must be the first in its file',
      );
    }
    pair = { certificate, key };
  }

  await watch('caFile', caFile, (pem) => {
    parseAuthorities(pem);
    ca = pem;
  });
  await watch('certFile', certFile, (pem) => {
    parseCertificates(pem);
    takePair({ certificate: pem });
  });
  await watch('keyFile', keyFile, (pem) => {
    parsePrivateKey(pem);
    takePair({ key: pem });
  });
  return () => ({
    minVersion,
    ...(ca && { ca }),
    ...pair,
    ...(serverName !== undefined && { serverName }),
  });
}

/** The limit of a TLS file, in bytes. The CAs of all the world fit in it. */
export const tlsFileLimit: number = 4 * 1024 * 1024;

const pemPrivateKey = /-----BEGIN [A-Z ]*PRIVATE KEY-----/;

const pemCertificate =
  /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]*-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g;

/**
 * Parses all certificates of a PEM file. Node accepts anything as a CA, and then trusts no one.
 *
 * @throws Error whose message follows the name of the file, and does not quote its content
 */
export function parseCertificates(pem: Buffer): X509Certificate[] {
  const blocks = pem.toString('latin1').match(pemCertificate) ?? [];
  if (blocks.length === 0) {
    if (/-----BEGIN [A-Z0-9 ]*CERTIFICATE-----/.test(pem.toString('latin1')))
      throw new Error(
        'is cut off: its certificate has no "-----END CERTIFICATE-----": copy it again',
      );
    throw new Error(
      isDer(pem)
        ? 'is in DER, not in PEM: convert it with openssl x509 -inform der -in FILE -out NEWFILE'
        : `has no PEM certificate ("-----BEGIN CERTIFICATE-----")${explainOtherContent(pem)}`,
    );
  }
  return blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch {
      throw new Error(`is damaged in certificate ${index + 1}: copy it again`);
    }
  });
}

/** Says what is in a file in place of a certificate or a key, and what to do. It quotes nothing of the file. */
function explainOtherContent(content: Buffer): string {
  const text = content.toString('latin1');
  if (/-----BEGIN (NEW )?CERTIFICATE REQUEST-----/.test(text))
    return ', but a certificate request: let a CA sign it, and write the certificate that it returns';
  if (pemPrivateKey.test(text))
    return ', but a private key: name the file of its certificate here, and this file where the key belongs';
  if (/-----BEGIN [A-Z0-9 ]*CERTIFICATE-----/.test(text))
    return ', but a certificate: name the file of its private key here';
  // It is `-----BEGIN` in base64, as a kubeconfig or a Secret has it.
  if (text.startsWith('LS0tLS1CRUdJTi'))
    return ', but base64 of PEM: decode it with base64 -d FILE > NEWFILE';
  // PKCS#12 is a sequence that begins with the version 3 (RFC 7292, section 4).
  const isPkcs12 =
    content[0] === 0x30 && content.subarray(0, 9).includes('\x02\x01\x03', 0, 'latin1');
  if (isPkcs12)
    return ', but is PKCS#12: convert it with openssl pkcs12 -in FILE -nodes -out NEWFILE, and split the key from the certificate';
  return ': check the path, or copy the file again';
}

/** Whether a file without PEM is a certificate all the same: Windows exports DER by default. */
function isDer(content: Buffer): boolean {
  try {
    return new X509Certificate(content).raw.length > 0;
  } catch {
    return false;
  }
}

/**
 * Parses the CAs that a server's certificate must be from. No server is trusted by its own certificate alone, unless that has signed
 * itself.
 *
 * @throws Error like {@link parseCertificates}, and for a file without a CA
 */
export function parseAuthorities(pem: Buffer): X509Certificate[] {
  const certificates = parseCertificates(pem);
  const [certificate] = certificates;
  if (certificate === undefined || certificates.some(isAnchor)) return certificates;
  throw new Error(
    `has no CA, but the certificate of ${oneLineName(certificate.subject)}, which makes no server trusted: write the certificate of ` +
      `the CA that signed it (${oneLineName(certificate.issuer)})`,
  );
}

/** Whether a client can trust a certificate: it is of a CA, or of a server that no CA signed. */
export function isAnchor(certificate: X509Certificate): boolean {
  return certificate.ca || isIssuedBy(certificate, certificate);
}

export function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

/** Writes a distinguished name of Node on one line. */
function oneLineName(name: string): string {
  return oneLine(name.replaceAll('\n', ', '));
}

/**
 * Parses a private key.
 *
 * @throws Error whose message follows the name of the file. It has no cause: that could contain a part of the key
 */
export function parsePrivateKey(pem: Buffer): KeyObject {
  const text = pem.toString('latin1');
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(text)) {
    throw new Error(
      'has a key with a passphrase: store it without one, readable by this user only: openssl pkey -in FILE -out NEWFILE',
    );
  }
  try {
    return createPrivateKey(pem);
  } catch {
    if (pemPrivateKey.test(text))
      throw new Error('has a private key that is damaged: copy it again');
    throw new Error(
      `has no PEM private key ("-----BEGIN PRIVATE KEY-----")${explainOtherContent(pem)}`,
    );
  }
}
