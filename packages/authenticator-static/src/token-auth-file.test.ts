import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readTokenAuthFile } from './token-auth-file.ts';
import { blind, digestToken, TokenFileError, type TokenSet } from './token-file.ts';

function read(text: string | Buffer): Promise<TokenSet> {
  return readTokenAuthFile('tokens.csv', Buffer.from(text));
}

async function usersOf(text: string): Promise<unknown[]> {
  return [...(await read(text)).values()].map(({ user }) => user);
}

async function problemsOf(text: string | Buffer): Promise<string> {
  const outcome = await read(text).catch((error: unknown) => error);
  expect(outcome).toBeInstanceOf(TokenFileError);
  return (outcome as TokenFileError).message;
}

describe("Kubernetes' token file", () => {
  test('gives each token its user, uid and groups', async () => {
    const tokens = await read('t1,alice,1001,"dev,ops"\nt2,bob,,dev\n\nt3,carol,1003');
    expect(tokens.get(blind(digestToken('t1')))).toEqual({
      user: { username: 'alice', uid: '1001', groups: ['dev', 'ops'] },
      line: 1,
    });
    expect(tokens.get(blind(digestToken('t2')))).toEqual({
      user: { username: 'bob', groups: ['dev'] },
      line: 2,
    });
    expect(tokens.get(blind(digestToken('t3')))).toEqual({
      user: { username: 'carol', uid: '1003' },
      line: 4,
    });
    expect(tokens.size).toBe(3);
  });

  test.each([
    { name: 'an empty file', text: '', names: [] },
    { name: 'blank lines only', text: '\n\r\n\n', names: [] },
    { name: 'line ends of Windows', text: 'a,b,c\r\nd,e,f\r\n', names: ['b', 'e'] },
    { name: 'a CR at the end', text: 'a,b,c,\r', names: ['b'] },
    { name: 'a line end within quotes', text: '"a\r\nb","c\r\nd",e\n', names: ['c\nd'] },
    { name: 'a quote within quotes', text: 'a,"b""c",d\n', names: ['b"c'] },
    { name: 'spaces around a name', text: 'a, b ,c\n', names: [' b '] },
    { name: 'a token that begins with #', text: '#a,b,c\n', names: ['b'] },
    { name: 'columns after the fourth', text: 'a,b,c,d,e,f\n', names: ['b'] },
  ])('may have $name', async ({ text, names }) => {
    expect(await usersOf(text)).toEqual(
      names.map((username) => expect.objectContaining({ username })),
    );
  });

  test('keeps the spaces of groups, as Kubernetes does, and drops empty ones', async () => {
    expect(await usersOf('a,b,,"c, d,,"\ne,f,,\n')).toEqual([
      { username: 'b', groups: ['c', ' d'] },
      { username: 'f', groups: [] },
    ]);
  });

  test.each([
    {
      name: 'two columns',
      text: '\na,b\n',
      message: 'line 2: expected the columns token,user,uid',
    },
    {
      name: 'YAML of digests',
      text: 'a,b,c\n- sha256: 00\n',
      message:
        'line 2: expected the columns token,user,uid and optionally "group1,group2" (and no comments), found 1: if this is YAML with digests, name it in tokensFile',
    },
    {
      name: 'a comment',
      text: 'a,b,c\n# note\n',
      message: 'line 2: expected the columns token,user,uid',
    },
    {
      name: 'the names of its columns',
      text: 'token,user,uid,groups\na,b,c\n',
      message: 'line 1: the names of the columns, which would be a token that anyone can guess',
    },
    {
      name: 'an empty token',
      text: 'a,b,c\n,d,e\n',
      message: 'line 2: the token, the first column, is empty',
    },
    {
      name: 'an empty user name',
      text: 'a,b,c\n"d\ne","",e\n',
      message: 'line 2: the user name, the second column, is empty',
    },
    {
      name: 'a token twice',
      text: 'a,b,c\n\nd,e,f\na,g,h\n',
      message: 'line 4: the same token as in line 1: remove one of them',
    },
    {
      name: 'a token with U+FFFD',
      text: 'a\uFFFD,b,c\n',
      message: 'line 1: the token contains U+FFFD',
    },
    {
      name: 'a byte order mark',
      text: '\uFEFFa,b,c\n',
      message: 'line 1: the file begins with a byte order mark',
    },
    {
      name: 'a quote within a column',
      text: 'a,b,c\nd,e"f,g\n',
      message: 'line 2: a quote within a column',
    },
    {
      name: 'text after a quote',
      text: 'a,b,c\n"d"e,f,g\n',
      message: 'line 2: a quote within a column',
    },
    {
      name: 'a quote that is not closed',
      text: 'a,b,c\nd,"e,f\ng,h,i\n',
      message: 'line 2: a quote that opens in this row, or in one below,',
    },
  ])('is refused for $name', async ({ text, message }) => {
    expect(await problemsOf(text)).toContain(`tokens.csv, ${message}`);
  });

  test('that is not UTF-8 is refused with the line, and U+FFFD before it is not to blame', async () => {
    const text = Buffer.from('a,b,\uFFFD\nd,J?rg,e\n');
    text[text.indexOf('?')] = 0xf6;
    expect(await problemsOf(text)).toBe('tokens.csv, line 2: not UTF-8: save the file as UTF-8');
  });

  test('has up to ten problems reported together, and none of them quotes a token', async () => {
    const token = randomBytes(24).toString('base64url');
    const rows = [`${token}`, `${token},,`, `${token},a,b`, `${token},c,d`, `"${token}"x,e,f`];
    const message = await problemsOf(rows.join('\n'));
    expect(message.split('\n').map((line) => line.slice(0, 18))).toEqual(
      [1, 2, 4, 5].map((line) => `tokens.csv, line ${line}`),
    );
    expect(message).not.toContain(token);
    expect((await problemsOf(`${token}\n`.repeat(12))).split('\n')).toHaveLength(11);
  });

  test('that is large is read in slices with the same result and the right lines', async () => {
    const row = (index: number) =>
      `token-${index},user-${index},"${index}\n""","dev,team-${index}"\n`;
    const rows = Array.from({ length: 5000 }, (_, index) => row(index));
    const tokens = await read(rows.join(''));
    expect([...tokens.values()]).toEqual(
      rows.map((_, index) => ({
        user: { username: `user-${index}`, uid: `${index}\n"`, groups: ['dev', `team-${index}`] },
        line: 1 + 2 * index,
      })),
    );
    expect(await problemsOf([...rows, row(4000), 'x\n'].join(''))).toMatch(
      /^tokens.csv, line 10001: the same token as in line 8001: .*\ntokens.csv, line 10003: expected the columns .*, found 1$/,
    );
    expect(await problemsOf([...rows, 'x,y"z"\n'].join(''))).toContain(
      'line 10001: a quote within a column',
    );
    expect(await problemsOf([...rows, 'x,"y\n'].join(''))).toContain(
      'line 10001: a quote that opens in this row',
    );
  });
});

describe('for any', () => {
  test('text, the rows are those that Go would read', async () => {
    const pieces = fc.constantFrom('a', 'b', ',', ',', '"', '"', '\n', '\r', '\r\n', ' ', '#', 'é');
    await fc.assert(
      fc.asyncProperty(fc.array(pieces, { maxLength: 30 }), async (parts) => {
        const text = parts.join('');
        const expected = usersInGo(text);
        const outcome = await usersOf(text).catch((error: unknown) => error);
        if (expected === undefined) expect(outcome).toBeInstanceOf(TokenFileError);
        else expect(outcome).toEqual(expected);
      }),
      { numRuns: 3000 },
    );
  });

  test('rows that are written, each token is found with its user', async () => {
    const column = fc
      .string({ unit: 'grapheme', minLength: 1 })
      .filter((text) => !/[\r\uFFFD\uFEFF]/.test(text));
    const row = fc.record({
      token: column,
      username: column,
      uid: fc.oneof(column, fc.constant('')),
    });
    const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(row, { selector: ({ token }) => token }), async (rows) => {
        const text = rows
          .map(({ token, username, uid }) => [token, username, uid].map(quoted).join())
          .join('\n');
        const tokens = await read(text);
        expect(tokens.size).toBe(rows.length);
        for (const { token, username, uid } of rows) {
          expect(tokens.get(blind(digestToken(token)))?.user).toEqual({
            username,
            ...(uid && { uid }),
          });
        }
      }),
    );
  });
});

/** Reads a file as Go's encoding/csv documents its format. @returns undefined if the file is invalid by our rules */
function usersInGo(text: string): unknown[] | undefined {
  const rows = rowsInGo(text.replaceAll('\r\n', '\n').replace(/\r$/, ''));
  if (rows?.some(([token, username, uid]) => !token || !username || uid === undefined))
    return undefined;
  if (rows === undefined || new Set(rows.map(([token]) => token)).size < rows.length)
    return undefined;
  return rows.map(([, username, uid, groups]) => ({
    username,
    ...(uid && { uid }),
    ...(groups !== undefined && { groups: groups.split(',').filter(Boolean) }),
  }));
}

function rowsInGo(text: string): string[][] | undefined {
  const column = /"((?:[^"]|"")*)"(,|\n|$)|([^",\n]*)(,|\n|$)/y;
  const rows: string[][] = [];
  let row: string[] = [];
  for (let at = 0; at < text.length || row.length > 0; at = column.lastIndex) {
    if (row.length === 0 && text[at] === '\n') {
      column.lastIndex = at + 1;
      continue;
    }
    column.lastIndex = at;
    const match = column.exec(text);
    if (match === null) return undefined;
    row.push(match[1]?.replaceAll('""', '"') ?? match[3] ?? '');
    if ((match[2] ?? match[4]) === ',') continue;
    rows.push(row);
    row = [];
  }
  return rows;
}
