import { type Complain, oneLine, type Parsed, parseText, value } from '@sallyport/plugin-options';
import { RE2JS } from 're2js';
import type { z } from 'zod';
import type { TokenOptions } from '../token/shape.ts';

export interface TokenKeys {
  readonly tokenPrefix?: string | undefined;
  readonly tokenPattern?: RE2JS | undefined;
}

type TokenShapeKeys = { readonly [Key in keyof TokenKeys]-?: z.ZodType<TokenKeys[Key]> };

export const tokenShapeKeys: TokenShapeKeys = {
  tokenPrefix: value(
    {
      description:
        "What tokens issued elsewhere begin with, such as robot_. Left out, and no tokenPattern: Sallyport's own tokens, sp_ with a checksum.",
      pattern: '^[!-~]{1,64}$',
    },
    (input) => {
      if (typeof input === 'string' && /^[!-~]{1,64}$/.test(input)) return { value: input };
      return { problem: 'must be visible ASCII, 1 to 64 characters', fix: 'write robot_' };
    },
  ).optional(),
  tokenPattern: value(
    {
      description:
        'A regular expression (RE2) that tokens issued elsewhere match as a whole, such as [A-Za-z0-9]{40}. With tokenPrefix both must hold.',
      minLength: 1,
    },
    parsePattern,
  ).optional(),
};

/** RE2, as in Go: it takes no longer than the token is long, whatever whoever sends it has thought of. */
function parsePattern(input: unknown): Parsed<RE2JS> {
  const parsed = parseText(input, '[A-Za-z0-9]{40}');
  if ('problem' in parsed) return parsed;
  try {
    return { value: RE2JS.compile(parsed.value) };
  } catch (error) {
    const why = error instanceof Error ? `: ${oneLine(error.message)}` : '';
    const fix = 'write one such as [A-Za-z0-9]{40}; look-around and back-references are not known';
    return { problem: `is no regular expression of RE2${why}`, fix };
  }
}

export function settleToken({ tokenPrefix, tokenPattern }: TokenKeys, complain: Complain): TokenOptions {
  if (tokenPattern?.matches('')) {
    complain(['tokenPattern'], 'matches an empty text, so it may match anything: write one such as [A-Za-z0-9]{40}');
  }
  return {
    ...(tokenPrefix !== undefined && { prefix: tokenPrefix }),
    ...(tokenPattern !== undefined && { pattern: tokenPattern }),
  };
}
