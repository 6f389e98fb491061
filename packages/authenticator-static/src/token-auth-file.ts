import { pipeline } from 'node:stream/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CsvError, parse } from 'csv-parse';
import {
  blind,
  decode,
  digestToken,
  type FileProblem,
  type FileToken,
  freezeRecord,
  maxProblems,
  sliceLength,
  TokenFileError,
  type TokenSet,
} from './token-file.ts';

/**
 * Reads Kubernetes' static token file, `token,user,uid,"group1,group2"`, as kube-apiserver does
 * (kubernetes/apiserver pkg/authentication/token/tokenfile/tokenfile.go, on Go's encoding/csv): it skips blank lines, has
 * no comments, keeps spaces, and ignores columns after the fourth. It is stricter with obvious mistakes: an empty token, an
 * empty user name, a duplicate token (there: skipped, accepted, the last one wins). It drops empty groups, which no rule of
 * Kubernetes can name.
 *
 * It replaces each token by its digest as soon as it has read the row.
 *
 * @throws TokenFileError
 */
export async function readTokenAuthFile(file: string, content: Buffer): Promise<TokenSet> {
  const tokens = new Map<string, FileToken>();
  const problems: FileProblem[] = [];
  const text = decode(file, content);
  if (text.startsWith('\uFEFF')) problems.push({ line: 1, message: byteOrderMark });
  let rowEnd = 0;
  function addRow(row: readonly string[], { lines }: { readonly lines: number }): undefined {
    rowEnd = lines;
    // A quoted column may have line ends, so the row may begin some lines above.
    const line = lines - row.join('').split('\n').length + 1;
    const message = problems.length < maxProblems ? add(tokens, row, line) : undefined;
    if (message !== undefined) problems.push({ line, message });
  }
  const options = {
    record_delimiter: '\n',
    relax_column_count: true,
    skip_empty_lines: true,
    on_record: addRow,
  };
  try {
    await pipeline(pieces(Buffer.from(normalize(text))), parse(options).resume());
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    problems.push(quoteProblem(error, rowEnd));
  }
  if (problems.length > 0) throw new TokenFileError(file, problems);
  return tokens;
}

const byteOrderMark =
  'the file begins with a byte order mark, which kube-apiserver reads as a part of the first token: save it without';

/** Normalizes line ends as Go's encoding/csv does, also within quotes: CR LF becomes LF, a CR at the end is dropped. */
function normalize(text: string): string {
  return text.replaceAll('\r\n', '\n').replace(/\r$/, '');
}

async function* pieces(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let start = 0; start < bytes.length; start += sliceLength) {
    yield bytes.subarray(start, start + sliceLength);
    await nextTurn();
  }
}

/** Replaces the message of csv-parse, which quotes the column, since that may be the token. */
function quoteProblem({ code, lines }: CsvError, rowEnd: number): FileProblem {
  if (code === 'CSV_QUOTE_NOT_CLOSED') {
    return {
      line: rowEnd + 1,
      message: 'a quote that opens in this row, or in one below, is never closed: close it',
    };
  }
  const message =
    'a quote within a column: put the whole column in quotes, and write each " in it twice';
  return { line: Number(lines), message };
}

const yamlLine = /^\s*(?:- )?\w+:/;

/** Adds the token of a row. @returns the problem of the row, if any */
function add(
  tokens: Map<string, FileToken>,
  row: readonly string[],
  line: number,
): string | undefined {
  const [token, username, uid, groups] = row;
  if (token === undefined || username === undefined || uid === undefined) {
    const hint = yamlLine.test(row[0] ?? '')
      ? ': if this is YAML with digests, name it in tokensFile'
      : '';
    return `expected the columns token,user,uid and optionally "group1,group2" (and no comments), found ${row.length}${hint}`;
  }
  if (line === 1 && token === 'token' && /^user(name)?$/.test(username))
    return 'the names of the columns, which would be a token that anyone can guess: remove this row';
  if (token === '') return 'the token, the first column, is empty: write one, or remove the row';
  if (token.includes('\uFFFD')) {
    return 'the token contains U+FFFD, the sign of wrongly decoded text: write the token again';
  }
  if (username === '')
    return 'the user name, the second column, is empty: write one, or remove the row';
  const key = blind(digestToken(token));
  const earlier = tokens.get(key);
  if (earlier !== undefined) return `the same token as in line ${earlier.line}: remove one of them`;
  const groupNames = groups?.split(',').filter((group) => group !== '');
  const user = { username, ...(uid && { uid }), ...(groupNames && { groups: groupNames }) };
  tokens.set(key, freezeRecord({ user, line, ...(row.length > 4 && { hasMoreColumns: true }) }));
  return undefined;
}
