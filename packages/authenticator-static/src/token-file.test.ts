import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readTokenAuthFile } from './token-auth-file.ts';
import { blind, digestToken, sliceLength, TokenFileError } from './token-file.ts';
import { readTokensFile } from './tokens-file.ts';

const random = () => randomBytes(32).toString('base64url');
const tokens = Array.from({ length: 100 }, random);

const formats = [
  { name: 'tokens.yaml', read: readTokensFile, write: yaml },
  {
    name: 'tokens.csv',
    read: readTokenAuthFile,
    write: (all: readonly string[]) => all.map((token) => `${token},alice,1\n`).join(''),
  },
];

function yaml(all: readonly string[]): string {
  return `tokens:\n${all.map((token) => `- { sha256: ${digestToken(token)}, username: alice }\n`).join('')}`;
}

/** Encodes bytes in every way that keeps different bytes different, in lower case. */
const spellings = (bytes: Buffer) =>
  (['hex', 'base64', 'base64url', 'latin1', 'utf16le'] as const).map((encoding) =>
    bytes.toString(encoding).replace(/=+$/, '').toLowerCase(),
  );

test.each(formats)(
  'no key of the look-up map of $name is or holds a digest or a token',
  async ({ name, read, write }) => {
    const set = await read(name, Buffer.from(write(tokens)));
    const keys = [...set.keys()].map((key) => key.toLowerCase());
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
  },
);

test.each(formats)(
  '$name with any bytes is read, or refused with an error of the reader',
  async ({ name, read }) => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array(), async (bytes) => {
        const outcome = await read(name, Buffer.from(bytes)).catch((error: unknown) => error);
        expect(outcome instanceof Map || outcome instanceof TokenFileError).toBe(true);
      }),
    );
  },
);

test.each(formats)(
  'a large $name is read in slices, and reviews get their turn between them',
  async ({ name, read, write }) => {
    const text = write(Array.from({ length: 5_000 }, random));
    let turns = 0;
    const look = () => {
      turns += 1;
      turn = setImmediate(look);
    };
    let turn = setImmediate(look);
    await read(name, Buffer.from(text));
    clearImmediate(turn);
    expect(turns).toBeGreaterThanOrEqual(Math.floor(text.length / sliceLength) - 1);
    expect(turns).toBeGreaterThan(2);
  },
);

test('digests that differ only in their last bit have unrelated keys', () => {
  const digest = digestToken(tokens[0] ?? '');
  const bytes = Buffer.from(digest, 'hex');
  bytes[31] = (bytes[31] ?? 0) ^ 1;
  const other = bytes.toString('hex');
  // This compares 128 bits of each key: they agree by chance once in 2^128 times.
  expect(blind(digest).slice(0, 22) === blind(other).slice(0, 22)).toBe(false);
  expect(blind(digest).slice(22) === blind(other).slice(22)).toBe(false);
});
