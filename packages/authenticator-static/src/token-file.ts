import { isUtf8 } from 'node:buffer';
import { hash, randomBytes } from 'node:crypto';
import type { UserInfo } from '@sallyport/authenticator';

/** A problem in a file of tokens, and how to fix it. It never contains a token, nor a whole digest. */
export interface FileProblem {
  /** The first line is 1. */
  readonly line: number;
  /** The first column is 1. Left out where only the line is known. */
  readonly column?: number;
  readonly message: string;
}

/** The maximum number of problems of a file that are reported. A reader stops when it has found them. */
export const maxProblems = 10;

/** A file of tokens that is refused as a whole: half a file would lock out the users of the other half. */
export class TokenFileError extends Error {
  override readonly name = 'TokenFileError';

  constructor(file: string, problems: readonly FileProblem[]) {
    const lines = problems.slice(0, maxProblems).map(({ line, column, message }) => {
      return `${file}, line ${line}${column === undefined ? '' : `, column ${column}`}: ${message}`;
    });
    if (problems.length >= maxProblems)
      lines.push(`(only the first ${maxProblems} problems are listed)`);
    super(lines.join('\n'));
  }
}

/** Readers yield to the event loop after about this many characters, so that reviews go on during a reload. */
export const sliceLength = 64 * 1024;

/**
 * Decodes a file. The text still begins with its byte order mark.
 *
 * @throws TokenFileError when it is not UTF-8: otherwise two names or tokens could become the same
 */
export function decode(file: string, content: Buffer): string {
  if (isUtf8(content)) return new TextDecoder('utf-8', { ignoreBOM: true }).decode(content);
  let line = 1;
  for (let start = 0; ; line++) {
    const end = content.indexOf(0x0a, start) + 1 || content.length;
    if (!isUtf8(content.subarray(start, end))) break;
    start = end;
  }
  throw new TokenFileError(file, [{ line, message: 'not UTF-8: save the file as UTF-8' }]);
}

/** A token of a file. */
export interface FileToken {
  readonly user: UserInfo;
  /** If it is empty, the token is valid for no audience and never passes. If it is left out, the token has any audience. */
  readonly audiences?: readonly string[] | undefined;
  /** Milliseconds since 1970: the token is valid from this time on. */
  readonly notBefore?: number | undefined;
  /** Milliseconds since 1970: the token is invalid from this time on. */
  readonly expiresAt?: number | undefined;
  /** Whether its row has columns that are not read. */
  readonly hasMoreColumns?: true;
  /** Its line in the file, for messages. */
  readonly line: number;
}

/** The tokens of one file, by their blinded digests. */
export type TokenSet = ReadonlyMap<string, FileToken>;

const blindingKey = randomBytes(32).toString('hex');

/** SHA-256 of the token's UTF-8, 64 lowercase hexadecimal digits. */
export function digestToken(token: string): string {
  return hash('sha256', token, 'hex');
}

/**
 * The key of a token in a {@link TokenSet}: SHA-256 of a random secret key of this process and the token's digest. Both
 * have one length each, and no one sees the result, so it needs no HMAC, which takes four times as long.
 *
 * The time of a lookup in a Map depends on its keys: the Map compares the keys of one bucket character by character. If
 * the digests were the keys, a caller could send tokens with chosen digests, and learn from the time how many characters
 * agree with a digest in the file. Blinded digests are random to callers: they cannot choose which keys are compared, nor
 * how far they agree, so the time reveals nothing useful.
 */
export function blind(digest: string): string {
  return hash('sha256', blindingKey + digest, 'base64');
}

/** All decisions about a token share its record, so no caller may change it. */
export function freezeRecord(record: FileToken): FileToken {
  const { groups, extra } = record.user;
  for (const value of [groups, extra, ...Object.values(extra ?? {}), record.user, record.audiences])
    Object.freeze(value);
  return Object.freeze(record);
}
