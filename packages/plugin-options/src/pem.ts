import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';

/** The limit of a TLS file, in bytes. All the world's authorities fit in one. */
export const tlsFileLimit: number = 4 * 1024 * 1024;

const pemCertificate =
  /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]*-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g;

/**
 * Parses all certificates of a PEM file. Node accepts anything as a CA, and then trusts no one.
 *
 * @throws Error whose message follows the name of the file, and does not quote its content
 */
export function parseCertificates(pem: Buffer): X509Certificate[] {
  const blocks = pem.toString('latin1').match(pemCertificate) ?? [];
  if (blocks.length === 0) throw new Error('has no PEM certificate ("-----BEGIN CERTIFICATE-----")');
  return blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch {
      throw new Error(`is damaged in certificate ${index + 1}: copy it again`);
    }
  });
}

/**
 * Parses a private key.
 *
 * @throws Error whose message follows the name of the file. It has no cause: that could contain a part of the key
 */
export function parsePrivateKey(pem: Buffer): KeyObject {
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(pem.toString('latin1'))) {
    throw new Error('has a key with a passphrase: store it without one, readable by this user only');
  }
  try {
    return createPrivateKey(pem);
  } catch {
    throw new Error('has no PEM private key ("-----BEGIN PRIVATE KEY-----")');
  }
}
