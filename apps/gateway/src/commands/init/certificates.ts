import { createHash, createPrivateKey, KeyObject, randomBytes, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { parseCertificates } from '@sallyport/plugin-kit';
import { BitString, Integer, OctetString, Utf8String } from 'asn1js';
import {
  AltName,
  AttributeTypeAndValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  Extension,
  ExtKeyUsage,
  GeneralName,
  Time,
} from 'pkijs';
import { addressBytes } from './hosts.ts';

/** A KeyPair has a certificate and its private key (PKCS #8, without a passphrase), in PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
  readonly notAfter: Date;
}

export interface Authority extends KeyPair {
  readonly parsed: Certificate;
  readonly signingKey: CryptoKey;
}

const day = 86_400_000;
const authorityLifetime = 3650 * day;
const leafLifetime = 365 * day;

/** Milliseconds before now at which certificates begin to be valid, for machines whose clock is behind. kubeadm does the same. */
const backdating = 5 * 60_000;

const algorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const;

/** The common name of the CA. */
export const authorityName = 'Sallyport CA';

/** Makes a CA that signs leaf certificates only. @param now milliseconds since 1970 */
export function createAuthority(now: number): Promise<Authority> {
  return certify(authorityName, now, [
    extension('2.5.29.19', new BasicConstraints({ cA: true, pathLenConstraint: 0 }), true),
    // The bits are keyCertSign and cRLSign (RFC 5280, 4.2.1.3). DER drops trailing zero bits.
    extension(
      '2.5.29.15',
      new BitString({ valueHex: new Uint8Array([0x06]), unusedBits: 1 }),
      true,
    ),
  ]);
}

/**
 * Reads a CA that `createAuthority` made.
 *
 * @param certificates PEM; if it has several CAs, the CA of the key is read
 * @throws Error when it is another kind of CA, not with its key, or has expired
 */
export async function readAuthority(
  certificates: string,
  key: string,
  now: number,
): Promise<Authority> {
  const authorities = parseCertificates(Buffer.from(certificates));
  const privateKey = createPrivateKey(key);
  const issuer = authorities.find((authority) => authority.checkPrivateKey(privateKey));
  if (issuer === undefined) {
    throw new Error(
      `the key does not belong to ${authorities.length === 1 ? 'the certificate' : 'one of the certificates'}`,
    );
  }
  const curve = privateKey.asymmetricKeyDetails?.namedCurve;
  if (!issuer.ca || curve !== 'prime256v1')
    throw new Error('this CA was not made by sallyport init');
  const notAfter = issuer.validToDate;
  if (notAfter.getTime() - day < now)
    throw new Error(`the CA expires at ${notAfter.toISOString()}`);
  return {
    certificate: issuer.toString(),
    key,
    notAfter,
    parsed: Certificate.fromBER(new Uint8Array(issuer.raw)),
    signingKey: privateKey.toCryptoKey(algorithm, false, ['sign']),
  };
}

/** @param hosts DNS names and IP addresses, as `parseHost` returns them */
export function issueServer(
  authority: Authority,
  hosts: readonly string[],
  now: number,
): Promise<KeyPair> {
  const names = new AltName({
    altNames: hosts.map((host) =>
      isIP(host) === 0
        ? new GeneralName({ type: 2, value: host })
        : new GeneralName({ type: 7, value: new OctetString({ valueHex: addressBytes(host) }) }),
    ),
  });
  return certify(
    'sallyport',
    now,
    [...leaf('1.3.6.1.5.5.7.3.1'), extension('2.5.29.17', names)],
    authority,
  );
}

export function issueClient(
  authority: Authority,
  commonName: string,
  now: number,
): Promise<KeyPair> {
  return certify(commonName, now, leaf('1.3.6.1.5.5.7.3.2'), authority);
}

/** Makes a key and its certificate. @param authority left out: the certificate is a CA, and signs itself */
async function certify(
  commonName: string,
  now: number,
  extensions: readonly Extension[],
  authority?: Authority,
) {
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  // A leaf that outlived its CA would look valid here, and every client would refuse it.
  const end = authority
    ? Math.min(now + leafLifetime, authority.notAfter.getTime())
    : now + authorityLifetime;
  const parsed = new Certificate({
    version: 2,
    serialNumber: new Integer({ valueHex: randomSerial() }),
    notBefore: time(now - backdating),
    notAfter: time(end),
  });
  parsed.subject.typesAndValues.push(
    new AttributeTypeAndValue({ type: '2.5.4.3', value: new Utf8String({ value: commonName }) }),
  );
  await parsed.subjectPublicKeyInfo.importKey(keys.publicKey);
  const issuer = authority?.parsed ?? parsed;
  parsed.issuer = issuer.subject;
  parsed.extensions = [
    ...extensions,
    extension('2.5.29.14', subjectKeyId(parsed)),
    extension('2.5.29.35', new AuthorityKeyIdentifier({ keyIdentifier: subjectKeyId(issuer) })),
  ];
  await parsed.sign(authority?.signingKey ?? keys.privateKey, 'SHA-256');
  const certificate = new X509Certificate(Buffer.from(parsed.toSchema(true).toBER()));
  const key = String(KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }));
  return {
    certificate: certificate.toString(),
    key,
    notAfter: certificate.validToDate,
    parsed,
    signingKey: keys.privateKey,
  };
}

/** Returns the extensions of a leaf. @param purpose the OID of a key purpose (RFC 5280, 4.2.1.12) */
function leaf(purpose: string): Extension[] {
  return [
    extension('2.5.29.19', new BasicConstraints({ cA: false }), true),
    // The bit is digitalSignature (RFC 5280, 4.2.1.3).
    extension(
      '2.5.29.15',
      new BitString({ valueHex: new Uint8Array([0x80]), unusedBits: 7 }),
      true,
    ),
    extension('2.5.29.37', new ExtKeyUsage({ keyPurposes: [purpose] })),
  ];
}

/** Returns a positive number of 16 bytes: RFC 5280, 4.1.2.2 allows 20. */
function randomSerial(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(randomBytes(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes;
}

/** Encodes a time in whole seconds, as UTCTime until 2049 (RFC 5280, 4.1.2.5). @param milliseconds since 1970 */
function time(milliseconds: number): Time {
  const value = new Date(Math.floor(milliseconds / 1000) * 1000);
  return new Time({ type: value.getUTCFullYear() < 2050 ? 0 : 1, value });
}

/** Returns the first 160 bits of the SHA-256 of the public key (RFC 7093, method 1). */
function subjectKeyId({ subjectPublicKeyInfo }: Certificate): OctetString {
  const publicKey = subjectPublicKeyInfo.subjectPublicKey.valueBlock.valueHexView;
  return new OctetString({
    valueHex: new Uint8Array(createHash('sha256').update(publicKey).digest().subarray(0, 20)),
  });
}

interface Encodable {
  toBER(): ArrayBuffer;
}

function extension(
  extnID: string,
  value: Encodable | { toSchema(): Encodable },
  critical = false,
): Extension {
  const encoded = 'toSchema' in value ? value.toSchema() : value;
  return new Extension({ extnID, critical, extnValue: encoded.toBER() });
}
