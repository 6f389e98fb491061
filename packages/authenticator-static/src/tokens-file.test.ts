import { hash, randomBytes } from 'node:crypto';
import { anyCharacter } from '@sallyport/scripts/any-character';
import fc from 'fast-check';
import { dump } from 'js-yaml';
import { describe, expect, test } from 'vitest';
import { blind, digestToken, TokenFileError, type TokenSet } from './token-file.ts';
import { readTokensFile } from './tokens-file.ts';

const digest = () => randomBytes(32).toString('hex');

function read(text: string | Buffer): Promise<TokenSet> {
  return readTokensFile('tokens.yaml', Buffer.from(text));
}

async function problemsOf(text: string | Buffer): Promise<string> {
  const outcome = await read(text).catch((error: unknown) => error);
  expect(outcome).toBeInstanceOf(TokenFileError);
  return (outcome as TokenFileError).message;
}

describe('a tokens file', () => {
  test('is read with every key an entry can have', async () => {
    const token = randomBytes(32).toString('base64url');
    const tokens = await read(`# Robots.
tokens:
  - sha256: ${hash('sha256', token)}
    username: deploy-bot
    uid: "1001"
    groups: [deployers, "team a"]
    extra: { scopes: [read, write] }
    audiences: []
    notBefore: 2026-01-01T00:00:00Z
    expiresAt: 2031-05-01T02:00:00.5+02:00
    description: Deploys from CI.
`);
    expect([...tokens]).toEqual([
      [
        blind(digestToken(token)),
        {
          user: {
            username: 'deploy-bot',
            uid: '1001',
            groups: ['deployers', 'team a'],
            extra: { scopes: ['read', 'write'] },
          },
          audiences: [],
          notBefore: Date.UTC(2026, 0, 1),
          expiresAt: Date.UTC(2031, 4, 1, 0, 0, 0, 500),
          line: 3,
        },
      ],
    ]);
  });

  test('may have digests in upper case, line ends of Windows, a byte order mark, flow style and aliases', async () => {
    const [one, two] = [digest(), digest()];
    const text = `\uFEFFtokens:\r\n- {sha256: ${one.toUpperCase()}, username: a, groups: &all [g]}\r\n- {sha256: ${two}, username: b, groups: *all}\r\n`;
    const tokens = await read(text);
    expect([...tokens.keys()]).toEqual([one, two].map((hex) => blind(hex)));
    expect([...tokens.values()].map(({ user }) => user.groups)).toEqual([['g'], ['g']]);
  });

  test('may have no token, if it says so', async () => {
    expect((await read('tokens: []\n')).size).toBe(0);
    expect((await read('# none\ntokens: []')).size).toBe(0);
  });

  test.each([
    { name: 'nothing', text: '', message: 'line 1: not valid YAML: the file is empty' },
    {
      name: 'comments only',
      text: '# tokens\n',
      message: 'line 1: not valid YAML: the file is empty',
    },
    {
      name: 'several documents',
      text: 'tokens: []\n---\ntokens: []\n',
      message: 'line 1: not valid YAML: the file has several documents',
    },
    {
      name: 'a key without a value',
      text: '\ntokens:\n',
      message: 'line 2, column 1: tokens must be a list of entries; for no entries write',
    },
    {
      name: 'a list at the top',
      text: '- a\n',
      message:
        'line 1, column 1: must have the key tokens with a list of entries; for no entries write tokens: []. The option for a CSV file is tokenAuthFile',
    },
    {
      name: 'broken YAML',
      text: 'tokens:\n  - a: [\n',
      message: 'line 3, column 1: not valid YAML: deficient indentation',
    },
    {
      name: 'a key twice',
      text: 'tokens: []\ntokens: []\n',
      message: 'line 2, column 1: not valid YAML: duplicated mapping key',
    },
    {
      name: 'another key',
      text: 'tokens: []\nextra: 1\n',
      message: 'line 2, column 1: unknown key: the file has one key, tokens',
    },
    {
      name: 'an alias of nothing',
      text: 'tokens: [*x]\n',
      message: 'line 1, column 11: not valid YAML: unidentified alias',
    },
  ])('is refused when it has $name', async ({ text, message }) => {
    expect(await problemsOf(text)).toContain(`tokens.yaml, ${message}`);
  });

  const hex = digest();
  /** A valid entry in lines 2 and 3, and more lines of it. */
  const good = (...more: string[]) => [`  - sha256: ${hex}`, '    username: a', ...more].join('\n');
  test.each([
    {
      name: 'without a digest',
      entry: '  - username: a',
      message: 'line 2, column 5: sha256 is missing: the command `token hash` makes',
    },
    {
      name: 'with a short digest',
      entry: '  - sha256: abc\n    username: a',
      message: 'line 2, column 13: sha256 must be a SHA-256 digest',
    },
    {
      name: 'without a user name',
      entry: `  - sha256: ${hex}`,
      message: 'line 2, column 5: username is missing',
    },
    {
      name: 'with no text for a user name',
      entry: `  - sha256: ${hex}\n    username: ""`,
      message: 'line 3, column 16: username must not be empty',
    },
    {
      name: 'with a number for a uid',
      entry: good('    uid: 7'),
      message: 'uid must be a string: put it in q',
    },
    {
      name: 'with one group that is no list',
      entry: good('    groups: g'),
      message: 'line 4, column 13: groups must be a list: write [developers]',
    },
    {
      name: 'with a number for a group',
      entry: good('    groups:', '      - g', '      - 7'),
      message: 'line 6, column 9: a value in groups must be a string: put it in quotes',
    },
    {
      name: 'with an extra key in upper case',
      entry: good('    extra: { Scopes: [a] }'),
      message: 'line 4, column 12: extra must have lowercase keys',
    },
    {
      name: 'with a date without a zone',
      entry: good('    expiresAt: 2031-05-01T00:00:00'),
      message:
        'line 4, column 16: expiresAt must be a date and time with its zone (RFC 3339), such as 2031-05-01T00:00:00Z',
    },
    {
      name: 'with a day that no calendar has',
      entry: good('    expiresAt: 2031-02-30T00:00:00Z'),
      message: 'line 4, column 16: expiresAt must be a date and time with its zone',
    },
    {
      name: 'that ends before it begins',
      entry: good('    expiresAt: 2031-01-01T00:00:00Z', '    notBefore: 2031-01-01T00:00:00Z'),
      message: 'line 5, column 16: notBefore must be before expiresAt',
    },
    {
      name: 'with an unknown key',
      entry: `  - sha256: ${hex}\n    user: a\n    username: b`,
      message:
        'line 3, column 5: unknown key: an entry has sha256, username, uid, groups, extra, audiences, notBefore, expiresAt and',
    },
    {
      name: 'that is no mapping',
      entry: '  - abc',
      message: 'line 2, column 5: must be a mapping with sha256 and username',
    },
    {
      name: 'with the digest of nothing',
      entry: `  - sha256: ${hash('sha256', '')}\n    username: a`,
      message: 'line 2, column 13: sha256 is the digest of an empty string',
    },
  ])('is refused for an entry $name', async ({ entry, message }) => {
    expect(await problemsOf(`tokens:\n${entry}\n`)).toContain(message);
  });

  test('that has a token in clear text is refused with the fix, and the token is not quoted', async () => {
    const token = randomBytes(24).toString('base64url');
    const message = await problemsOf(
      `tokens:\n  - token: ${token}\n    username: a\n  - ${token}: b\n  - *${token}x\n`,
    );
    expect(message).not.toContain(token);
    const twice = await problemsOf(
      `tokens:\n  - token: ${token}\n    username: a\n  - ${token}: b\n  - sha256: ${token}\n`,
    );
    expect(twice).toContain(
      'line 2, column 5: this file must not contain tokens, only their digests under sha256: the command `token hash`',
    );
    expect(twice).toContain('line 4, column 5: unknown key');
    expect(twice).toContain('line 5, column 13: sha256 must be a SHA-256 digest');
    expect(twice).not.toContain(token);
  });

  test('that has a token twice is refused with both lines, and eight digits of the digest', async () => {
    const twice = digest();
    const message = await problemsOf(
      `tokens:\n  - sha256: ${twice}\n    username: a\n\n  - username: b\n    sha256: ${twice.toUpperCase()}\n`,
    );
    expect(message).toBe(
      `tokens.yaml, line 6, column 13: the same token as in line 2 (sha256 ${twice.slice(0, 8)}...): remove one of them`,
    );
  });

  test('that is not UTF-8 is refused with the first bad line', async () => {
    const text = Buffer.from(`tokens:\n  - sha256: ${digest()}\n    username: J?rg\n  - x\n# ?`);
    for (let at = text.indexOf('?'); at !== -1; at = text.indexOf('?', at)) text[at] = 0xf6;
    expect(await problemsOf(text)).toBe('tokens.yaml, line 3: not UTF-8: save the file as UTF-8');
  });

  test('with more than ten problems has ten of them reported', async () => {
    const lines = (await problemsOf(`tokens:\n  - username: a\n${'  - {}\n'.repeat(8)}`)).split(
      '\n',
    );
    expect(lines).toHaveLength(11);
    expect(lines[9]).toContain('line 7, column 5');
    expect(lines[10]).toContain('only the first 10');
  });

  test('that is large is read in slices with the same result, and its problems have the right places', async () => {
    const digests = Array.from({ length: 3000 }, digest);
    const entries = digests.map(
      (hex, index) => `  - sha256: ${hex}\n    username: user-${index}\n`,
    );
    const tokens = await read(`# Many.\n\ntokens:\n${entries.join('')}`);
    expect([...tokens.values()].map(({ user, line }) => [user.username, line])).toEqual(
      digests.map((_, index) => [`user-${index}`, 4 + 2 * index]),
    );
    const bad = entries
      .with(2998, `  - sha256: ${digests[0]}\n    username: again\n`)
      .with(2999, '  - sha256: x\n');
    expect(await problemsOf(`tokens:\n${bad.join('')}`)).toBe(
      [
        `tokens.yaml, line 5998, column 13: the same token as in line 2 (sha256 ${digests[0]?.slice(0, 8)}...): remove one of them`,
        'tokens.yaml, line 6000, column 13: sha256 must be a SHA-256 digest, 64 hexadecimal digits: the command `token hash` makes an entry',
        'tokens.yaml, line 6000, column 5: username is missing',
      ].join('\n'),
    );
    const broken = entries.with(2999, `  - sha256: "${digests[2999]}\n`);
    expect(await problemsOf(`tokens:\n${broken.join('')}`)).toMatch(
      /^tokens.yaml, line 600[01], column \d+: not valid YAML/,
    );
  });

  test('that is large may have an alias from one slice to another', async () => {
    const entries = Array.from(
      { length: 3000 },
      () => `- sha256: ${digest()}\n  username: a\n  groups: *all\n`,
    );
    const tokens = await read(
      `tokens:\n- sha256: ${digest()}\n  username: a\n  groups: &all [g]\n${entries.join('')}`,
    );
    expect(tokens.size).toBe(3001);
    expect([...tokens.values()].every(({ user }) => user.groups?.[0] === 'g')).toBe(true);
  });
});

const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 });
const entry = fc.record(
  {
    token: fc.string({ unit: 'grapheme', minLength: 1 }),
    username: name,
    groups: fc.array(name, { maxLength: 3 }),
    audiences: fc.array(name, { maxLength: 2 }),
  },
  { requiredKeys: ['token', 'username'] },
);

describe('for any', () => {
  test('entries, each token is found with its user, and a token that differs in one bit is not', async () => {
    const entries = fc.uniqueArray(entry, { selector: ({ token }) => token, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(entries, fc.nat(), async (list, bit) => {
        const tokens = await read(
          dump({
            tokens: list.map(({ token, ...rest }) => ({ sha256: digestToken(token), ...rest })),
          }),
        );
        expect(tokens.size).toBe(list.length);
        for (const { token, username, groups, audiences } of list) {
          const found = tokens.get(blind(digestToken(token)));
          expect(found?.user).toEqual({ username, ...(groups && { groups }) });
          expect(found?.audiences).toEqual(audiences);
          const altered = Buffer.from(digestToken(token), 'hex');
          const at = (bit >> 3) % altered.length;
          altered[at] = (altered[at] ?? 0) ^ (1 << (bit & 7));
          expect(tokens.get(blind(altered.toString('hex')))).toBeUndefined();
        }
      }),
    );
  });

  test('text, the reader accepts it or throws its own error', async () => {
    const pieces =
      'tokens:|\n|  |- |sha256: |username: |a|[|]|{|}|"|\'|#|&a |*a|!!str |!x |>|?|: |,|\t|\r|---|...|~'.split(
        '|',
      );
    const more = ['|', digest(), '%YAML 1.2', '<<: ', '__proto__: '];
    const fragments = fc.constantFrom(...pieces, ...more);
    const text = fc.oneof(
      fc.string({ unit: anyCharacter }),
      fc.array(fragments, { maxLength: 40 }).map((parts) => parts.join('')),
      fc
        .array(fragments, { maxLength: 20 })
        .map((parts) => `tokens:\n  - sha256: ${parts.join('')}`),
    );
    await fc.assert(
      fc.asyncProperty(text, async (any) => {
        const outcome = await read(any).catch((error: unknown) => error);
        expect(outcome instanceof Map || outcome instanceof TokenFileError).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
