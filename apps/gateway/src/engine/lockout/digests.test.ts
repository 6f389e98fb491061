import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createFingerprint } from './local-guard.ts';
import { makeSubjectKey } from './shared-lockouts.ts';

/** Few letters, most of which separate texts somewhere, so that lists that are joined often look alike. */
const text = fc
  .array(fc.constantFrom('a', ' ', ':', '|', '/', ',', '"', '\\', '\n', '\u0000'), { maxLength: 3 })
  .map((letters) => letters.join(''));
const pair = fc.tuple(text, text);

const fingerprint = createFingerprint();
const digests: readonly { of: string; digest: (parts: readonly string[]) => string }[] = [
  { of: 'attempts in memory', digest: (parts) => fingerprint(...parts) },
  {
    of: 'attempts in Redis',
    digest: ([authenticator = '', subject = '']) =>
      makeSubjectKey({ keyPrefix: '' }, { authenticator, subject }),
  },
];

test.each(digests)('the digest of $of is the same for the same texts alone', ({ digest }) => {
  // Half of the pairs differ by letters that have moved from one text to the other.
  const moved = fc.tuple(pair, fc.nat(6)).map(([[start, end], at]) => {
    const all = start + end;
    return [
      [start, end],
      [all.slice(0, at), all.slice(at)],
    ] as const;
  });
  fc.assert(
    fc.property(fc.oneof(fc.tuple(pair, pair), moved), ([first, second]) => {
      expect(digest(first) === digest(second)).toBe(isDeepStrictEqual(first, second));
    }),
    { numRuns: 2_000 },
  );
});
