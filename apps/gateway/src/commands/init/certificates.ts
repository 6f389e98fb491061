import { createHash, createPrivateKey, KeyObject, randomBytes, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
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
  type RelativeDistinguishedNames,
  Time,
} from 'pkijs';
import { addressBytes } from './hosts.ts';

/** A certificate with its private key. */
export interface KeyPair {
  /** PEM. */
  readonly certificate: string;
  /** PEM, PKCS #8, without a passphrase. */
  readonly key: string;
  readonly notAfter: Date;
}

/** The CA, as it issues certificates. */
export interface Authority extends KeyPair {
  readonly parsed: Certificate;
  readonly signingKey: CryptoKey;
}

const day = 86_400_000;
const authorityLifetime = 3650 * day;
const leafLifetime = 365 * day;

/** How long before now certificates begin to be valid, for machines whose clock is behind. kubeadm does the same. */
const backdating = 5 * 60_000;

const algorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const;

/** Of RFC 5280, 4.2.1.3: the flags as the first byte of a BIT STRING. */
const keyUsages = { digitalSignature: 0x80, keyCertSign: 0x04, crlSign: 0x02 } as const;

/** Of RFC 5280, 4.2.1.12. */
const purposes = { server: '1.3.6.1.5.5.7.3.1', client: '1.3.6.1.5.5.7.3.2' } as const;

/** Makes a CA that signs leaf certificates only. @param now milliseconds since 1970 */
export async function createAuthority(now: number): Promise<Authority> {
  const keys = await generateKeys();
  const parsed = await unsignedCertificate('Sallyport CA', keys.publicKey, { now, notAfter: now + authorityLifetime });
  parsed.issuer.typesAndValues = parsed.subject.typesAndValues;
  const keyId = subjectKeyId(parsed);
  parsed.extensions = [
    basicConstraints(true),
    keyUsage(keyUsages.keyCertSign | keyUsages.crlSign),
    extension('2.5.29.14', new OctetString({ valueHex: keyId })),
    extension('2.5.29.35', new AuthorityKeyIdentifier({ keyIdentifier: new OctetString({ valueHex: keyId }) })),
  ];
  await parsed.sign(keys.privateKey, 'SHA-256');
  return { ...keyPair(parsed, keys.privateKey), parsed, signingKey: keys.privateKey };
}

/**
 * Reads a CA that `createAuthority` made.
 *
 * @param certificate PEM
 * @param key PEM
 * @throws Error when it is another kind of CA, the key is another one's, or it has expired
 */
export async function readAuthority(certificate: string, key: string, now: number): Promise<Authority> {
  const found = new X509Certificate(certificate);
  const privateKey = createPrivateKey(key);
  if (!found.checkPrivateKey(privateKey)) throw new Error('the key does not belong to the certificate');
  const curve = privateKey.asymmetricKeyDetails?.namedCurve;
  if (!found.ca || curve !== 'prime256v1') throw new Error('this CA was not made by sallyport init');
  const notAfter = found.validToDate;
  if (notAfter.getTime() - day < now) throw new Error(`the CA ends at ${notAfter.toISOString()}`);
  return {
    certificate,
    key,
    notAfter,
    parsed: Certificate.fromBER(new Uint8Array(found.raw)),
    signingKey: privateKey.toCryptoKey(algorithm, false, ['sign']),
  };
}

/** @param hosts DNS names and IP addresses, as `parseHost` returns them */
export function issueServer(authority: Authority, hosts: readonly string[], now: number): Promise<KeyPair> {
  const names = new AltName({
    altNames: hosts.map((host) =>
      isIP(host) === 0
        ? new GeneralName({ type: 2, value: host })
        : new GeneralName({ type: 7, value: new OctetString({ valueHex: addressBytes(host) }) }),
    ),
  });
  return issue(authority, 'sallyport', now, [purpose('server'), extension('2.5.29.17', names)]);
}

export function issueClient(authority: Authority, commonName: string, now: number): Promise<KeyPair> {
  return issue(authority, commonName, now, [purpose('client')]);
}

async function issue(
  { parsed: authority, signingKey, notAfter }: Authority,
  commonName: string,
  now: number,
  extensions: readonly Extension[],
): Promise<KeyPair> {
  const keys = await generateKeys();
  // A leaf that outlived its CA would look good here, and be refused by every client.
  const end = Math.min(now + leafLifetime, notAfter.getTime());
  const leaf = await unsignedCertificate(commonName, keys.publicKey, { now, notAfter: end });
  leaf.issuer = authority.subject;
  leaf.extensions = [
    basicConstraints(false),
    keyUsage(keyUsages.digitalSignature),
    ...extensions,
    extension('2.5.29.14', new OctetString({ valueHex: subjectKeyId(leaf) })),
    extension(
      '2.5.29.35',
      new AuthorityKeyIdentifier({ keyIdentifier: new OctetString({ valueHex: subjectKeyId(authority) }) }),
    ),
  ];
  await leaf.sign(signingKey, 'SHA-256');
  return keyPair(leaf, keys.privateKey);
}

function generateKeys(): Promise<{ readonly publicKey: CryptoKey; readonly privateKey: CryptoKey }> {
  return crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

async function unsignedCertificate(
  commonName: string,
  publicKey: CryptoKey,
  { now, notAfter }: { readonly now: number; readonly notAfter: number },
): Promise<Certificate> {
  const certificate = new Certificate({
    version: 2,
    serialNumber: new Integer({ valueHex: randomSerial() }),
    notBefore: time(now - backdating),
    notAfter: time(notAfter),
  });
  setCommonName(certificate.subject, commonName);
  await certificate.subjectPublicKeyInfo.importKey(publicKey);
  return certificate;
}

/** Returns a positive number of 16 bytes: RFC 5280, 4.1.2.2 allows 20. */
function randomSerial(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(randomBytes(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes;
}

/** RFC 5280, 4.1.2.5: UTCTime until 2049, whole seconds. */
function time(milliseconds: number): Time {
  const value = new Date(Math.floor(milliseconds / 1000) * 1000);
  return new Time({ type: value.getUTCFullYear() < 2050 ? 0 : 1, value });
}

function setCommonName(name: RelativeDistinguishedNames, commonName: string): void {
  name.typesAndValues.push(
    new AttributeTypeAndValue({ type: '2.5.4.3', value: new Utf8String({ value: commonName }) }),
  );
}

/** RFC 7093, method 1: the first 160 bits of the SHA-256 of the public key. */
function subjectKeyId({ subjectPublicKeyInfo }: Certificate): Uint8Array<ArrayBuffer> {
  const publicKey = subjectPublicKeyInfo.subjectPublicKey.valueBlock.valueHexView;
  return new Uint8Array(createHash('sha256').update(publicKey).digest().subarray(0, 20));
}

function basicConstraints(isAuthority: boolean): Extension {
  const value = new BasicConstraints(isAuthority ? { cA: true, pathLenConstraint: 0 } : { cA: false });
  return extension('2.5.29.19', value, true);
}

function keyUsage(flags: number): Extension {
  // DER drops trailing zero bits.
  const unusedBits = Math.log2(flags & -flags);
  return extension('2.5.29.15', new BitString({ valueHex: new Uint8Array([flags]), unusedBits }), true);
}

function purpose(of: keyof typeof purposes): Extension {
  return extension('2.5.29.37', new ExtKeyUsage({ keyPurposes: [purposes[of]] }));
}

interface Encodable {
  toBER(): ArrayBuffer;
}

function extension(extnID: string, value: Encodable | { toSchema(): Encodable }, critical = false): Extension {
  const encoded = 'toSchema' in value ? value.toSchema() : value;
  return new Extension({ extnID, critical, extnValue: encoded.toBER() });
}

function keyPair(certificate: Certificate, privateKey: CryptoKey): KeyPair {
  const found = new X509Certificate(Buffer.from(certificate.toSchema(true).toBER()));
  const key = KeyObject.from(privateKey).export({ type: 'pkcs8', format: 'pem' });
  return { certificate: found.toString(), key: String(key), notAfter: found.validToDate };
}
