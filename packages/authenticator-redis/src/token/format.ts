import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';

/**
 * Sallyport's own tokens: a prefix that says whose they are, 32 random bytes, and a checksum of both, all of it URL-safe.
 * So a scanner that reads source code and logs finds a leaked one without asking anybody, and a mistyped one is no
 * token at all. The checksum keeps mistakes out, not attackers: that is what the 256 random bits are for.
 */
export const defaultPrefix = 'sp_' as const;

/** 32 bytes in base64url without padding (RFC 4648 section 5). */
const secretLength = 43;
/** 4 bytes. */
const checksumLength = 6;

/** As the README gives it to secret scanners, and as it stands in the options' JSON Schema. */
export const formatPattern: string = `${defaultPrefix}[A-Za-z0-9_-]{${secretLength + checksumLength}}`;

const format = new RegExp(`^${formatPattern}$`);

/** @param prefix visible ASCII */
export function makeToken(prefix: string): string {
  const body = prefix + randomBytes(32).toString('base64url');
  return body + checksum(body);
}

/** Whether it is a token of {@link defaultPrefix} without a mistake in it. No I/O, and no secret is compared. */
export function isOwnToken(token: string): boolean {
  return format.test(token) && checksum(token.slice(0, -checksumLength)) === token.slice(-checksumLength);
}

/** CRC-32 (that of gzip, RFC 1952 section 8): it finds every single typing mistake and every two letters swapped. */
function checksum(body: string): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32(body));
  return bytes.toString('base64url');
}
