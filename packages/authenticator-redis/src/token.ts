import { hash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** SHA-256 of the token's UTF-8, 64 lowercase hexadecimal digits. Redis never sees more of a token. */
export function digestToken(token: string): string {
  return hash('sha256', token, 'hex');
}

/**
 * Sallyport's own tokens: this prefix, 32 random bytes, and a checksum of both, all of it URL-safe. A scanner of source
 * code and logs finds a leaked one without asking a server, and a mistyped one is not a token. The checksum is for
 * mistakes, not for attackers: the 256 random bits are.
 */
export const defaultPrefix = 'sp_';

/** 32 bytes in base64url without padding (RFC 4648 section 5). */
const secretLength = 43;
/** 4 bytes in base64url without padding. */
const checksumLength = 6;

/** The README gives this pattern to secret scanners. */
export const formatPattern = `${defaultPrefix}[A-Za-z0-9_-]{${secretLength + checksumLength}}`;

const format = new RegExp(`^${formatPattern}$`);

/** @param prefix visible ASCII */
export function makeToken(prefix: string): string {
  const body = prefix + randomBytes(32).toString('base64url');
  return body + checksum(body);
}

/** Whether a token has {@link defaultPrefix} and a correct checksum. There is no I/O, and no secret is compared. */
export function isOwnToken(token: string): boolean {
  return (
    format.test(token) && checksum(token.slice(0, -checksumLength)) === token.slice(-checksumLength)
  );
}

/** CRC-32 (that of gzip, RFC 1952 section 8). It finds each single mistyped character and each swap of two. */
function checksum(body: string): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32(body));
  return bytes.toString('base64url');
}

/**
 * Says what is wrong with a token that begins like the tokens that Sallyport makes, to follow "the token". The text contains
 * nothing of the token but its length.
 *
 * @returns undefined for a token without a mistake, or without the prefix
 */
export function mistakeIn(token: string, prefix: string): string | undefined {
  if (!token.startsWith(prefix)) return undefined;
  const begins = `begins with ${prefix}`;
  const length = prefix.length + secretLength + checksumLength;
  if (token.length !== length) {
    return `${begins}, but has ${token.length} characters instead of ${length}: is it cut off, or does it contain more than the token?`;
  }
  if (!/^[\w-]*$/.test(token.slice(prefix.length)))
    return `${begins}, but has a character that no such token has: copy it again`;
  if (checksum(token.slice(0, -checksumLength)) === token.slice(-checksumLength)) return undefined;
  return `${begins}, but its checksum is wrong: it was mistyped or changed. Copy it again`;
}

/** The shape of tokens that are issued elsewhere. */
export interface TokenShapeOptions {
  readonly prefix?: string | undefined;
  /** Matches whole tokens, in a time linear in their length. */
  readonly pattern?: { matches(token: string): boolean } | undefined;
}

/** The shape of the tokens. Without options it is that of Sallyport's own tokens, with a correct checksum. */
export function tokenShape({ prefix, pattern }: TokenShapeOptions) {
  if (prefix === undefined && pattern === undefined) {
    return {
      prefix: defaultPrefix,
      matches: isOwnToken,
      whyNot: (token: string) => mistakeIn(token, defaultPrefix),
    };
  }
  return {
    prefix,
    /** Says why a token with the prefix does not match, to follow "the token". */
    whyNot: (token: string) =>
      prefix !== undefined && token.startsWith(prefix)
        ? `begins with ${prefix}, but does not match tokenPattern`
        : undefined,
    /** Decides by the shape alone, in microseconds. */
    matches: (token: string) =>
      (prefix === undefined || token.startsWith(prefix)) &&
      // In UTF-8, all unpaired surrogates become U+FFFD, so different tokens would be the same.
      token.isWellFormed() &&
      (pattern === undefined || pattern.matches(token)),
  };
}
