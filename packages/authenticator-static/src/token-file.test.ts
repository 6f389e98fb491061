import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { readTokenAuthFile } from './token-auth-file.ts';
import { blind, digestToken, type TokenSet } from './token-file.ts';
import { readTokensFile } from './tokens-file.ts';

const tokens = Array.from({ length: 100 }, () => randomBytes(32).toString('base64url'));

const sets: readonly [string, () => Promise<TokenSet>][] = [
  [
    'tokens.yaml',
    () => {
      const entries = tokens.map((token) => `- { sha256: ${digestToken(token)}, username: alice }\n`);
      return readTokensFile('tokens.yaml', Buffer.from(`tokens:\n${entries.join('')}`));
    },
  ],
  [
    'tokens.csv',
    async () => readTokenAuthFile('tokens.csv', Buffer.from(tokens.map((token) => `${token},alice,1\n`).join(''))),
  ],
];

/** In every way that bytes become a string which keeps them apart, in either case. */
const spellings = (bytes: Buffer) =>
  (['hex', 'base64', 'base64url', 'latin1', 'utf16le'] as const).map((encoding) =>
    bytes.toString(encoding).replace(/=+$/, '').toLowerCase(),
  );

test.each(sets)('no key of the look-up map of %s is or holds a digest or a token', async (_name, read) => {
  const keys = [...(await read()).keys()].map((key) => key.toLowerCase());
  expect(keys).toHaveLength(tokens.length);
  const all = keys.join('\n');
  for (const token of tokens) {
    for (const spelling of [
      ...spellings(Buffer.from(digestToken(token), 'hex')),
      ...spellings(Buffer.from(token)),
      token.toLowerCase(),
    ]) {
      // No expect on the text itself: its message would quote it.
      expect(all.includes(spelling)).toBe(false);
    }
  }
});

test.each(sets)('each key of the look-up map of %s is the blinded digest', async (_name, read) => {
  const set = await read();
  for (const token of tokens) expect(set.has(blind(digestToken(token)))).toBe(true);
});

test('digests that differ only in their last bit have unrelated keys', () => {
  const digest = digestToken(tokens[0] ?? '');
  const bytes = Buffer.from(digest, 'hex');
  bytes[31] = (bytes[31] ?? 0) ^ 1;
  const other = bytes.toString('hex');
  // 128 bits of each: chance has them agree once in 2^128 times.
  expect(blind(digest).slice(0, 22) === blind(other).slice(0, 22)).toBe(false);
  expect(blind(digest).slice(22) === blind(other).slice(22)).toBe(false);
});
