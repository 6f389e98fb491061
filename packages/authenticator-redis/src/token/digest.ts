import { createHash } from 'node:crypto';

/** SHA-256 of the token's UTF-8, 64 lowercase hexadecimal digits: all that Redis ever sees of a token. */
export function digestToken(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
