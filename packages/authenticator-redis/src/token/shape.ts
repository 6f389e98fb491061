import type { RE2JS } from 're2js';
import { defaultPrefix, isOwnToken } from './format.ts';

export interface TokenOptions {
  /** What tokens issued elsewhere begin with. */
  readonly prefix?: string;
  /** What tokens issued elsewhere match from end to end, prefix included; in time that grows with their length only. */
  readonly pattern?: RE2JS;
}

/** What tokens of one authenticator look like. */
export interface TokenShape {
  /** What all of them begin with; left out: tokenPattern alone says what they are. */
  readonly prefix?: string;
  /** By shape alone, in microseconds. */
  matches(token: string): boolean;
}

/** Without options: Sallyport's own tokens, checksum and all. */
export function tokenShape({ prefix, pattern }: TokenOptions): TokenShape {
  if (prefix === undefined && pattern === undefined) return { prefix: defaultPrefix, matches: isOwnToken };
  return {
    ...(prefix !== undefined && { prefix }),
    matches: (token) =>
      (prefix === undefined || token.startsWith(prefix)) &&
      // Unpaired surrogates would all become U+FFFD in UTF-8, and different tokens one.
      token.isWellFormed() &&
      (pattern === undefined || pattern.matches(token)),
  };
}
