import {
  list,
  type ParseResult,
  parsePattern,
  parseText,
  readUnverifiedJwt,
  section,
  value,
  whyUnknownIssuer,
} from '@sallyport/plugin-kit';
import { RE2JS } from 're2js';
import type { z } from 'zod';

/** The tokens that the peer issues: a token matches a prefix, an issuer or the pattern. */
type Recognition = z.output<typeof recognition>;

function parsePrefix(input: unknown): ParseResult<string> {
  const [, prefix] = /^([\w.-]*\w\.?)\.?\*$/.exec(String(input)) ?? [];
  if (prefix !== undefined)
    return { problem: 'is a pattern, and a prefix is compared as it is', fix: `write ${prefix}` };
  if (typeof input === 'string' && /^[!-~]{1,256}$/.test(input)) return { value: input };
  return { problem: 'must be visible ASCII, 1 to 256 characters', fix: 'write k8s-aws-v1.' };
}

export const recognition = section(
  {
    prefixes: list(
      { description: "What the peer's tokens begin with.", example: '[k8s-aws-v1.]' },
      { min: 1, max: 64 },
      parsePrefix,
    ).optional(),
    issuers: list(
      {
        description: 'Issuers of JWTs: `iss`, byte for byte.',
        example: '[https://idp.example.com]',
      },
      { min: 1, max: 64 },
      (input) => parseText(input, 'https://idp.example.com'),
    ).optional(),
    pattern: value(
      {
        description: "A regular expression (RE2) that the peer's whole tokens match.",
        minLength: 1,
      },
      // RE2, as in Go: its time is linear in the length of a token, though large counts make it slow.
      (input) =>
        parsePattern(input, RE2JS.compile, '[0-9a-f]{64}', (prefix) => `prefixes: [${prefix}]`),
    ).optional(),
  },
  '{ prefixes: [k8s-aws-v1.] }',
  ({ prefixes = [], issuers = [], pattern }, complain) => {
    if (prefixes.length === 0 && issuers.length === 0 && pattern === undefined) {
      complain(
        [],
        'must say which tokens the peer issues',
        'write { prefixes: [k8s-aws-v1.] }, issuers or pattern',
      );
    }
    return { prefixes, issuers, pattern };
  },
).describe('The tokens that the peer issues. No other token is sent to it.');

/**
 * Decides by the text of a token alone whether the peer is asked. A text that UTF-8 can't hold is never recognized: the peer
 * would see another token.
 */
export function createRecognizer({
  prefixes,
  issuers,
  pattern,
}: Recognition): (token: string) => boolean {
  const issuerSet = new Set(issuers);
  return (token) =>
    token.isWellFormed() &&
    (prefixes.some((prefix) => token.startsWith(prefix)) ||
      (issuerSet.size > 0 && issuerSet.has(readUnverifiedJwt(token)?.issuer ?? '')) ||
      pattern?.matches(token) === true);
}

/** Says why a token that looks like one of the peer is not sent to it, to follow "the token". */
export function whyUnrecognized({ issuers }: Recognition, token: string): string | undefined {
  return issuers.length === 0 ? undefined : whyUnknownIssuer(token, issuers);
}
