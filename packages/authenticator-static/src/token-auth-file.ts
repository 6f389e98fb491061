import { setImmediate as nextTurn } from 'node:timers/promises';
import { CsvError, parse } from 'csv-parse/sync';
import { decode, mostProblems, type Problem, type Slice, sliceLength, TokenFileError } from './token-file.ts';
import { blind, digestToken, freezeRecord, type TokenRecord, type TokenSet } from './token-set.ts';

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
  const tokens = new Map<string, TokenRecord>();
  const problems: Problem[] = [];
  const text = decode(file, content);
  if (text.startsWith('\uFEFF')) problems.push({ line: 1, message: byteOrderMark });
  for (const slice of slices(normalize(text))) {
    if (!readSlice(slice, tokens, problems)) break;
    await nextTurn();
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

/** Cuts at line ends outside of quotes: in a well-formed file, an even number of quotes precedes them. */
function* slices(text: string): Generator<Slice> {
  let line = 1;
  for (let start = 0; start < text.length; ) {
    let [end, lines, quotes] = [start, 0, 0];
    while (end < text.length && (end - start < sliceLength || quotes % 2 === 1)) {
      const newline = text.indexOf('\n', end);
      const next = newline === -1 ? text.length : newline + 1;
      for (let at = end; at < next; at++) if (text[at] === '"') quotes++;
      [end, lines] = [next, lines + 1];
    }
    yield { text: text.slice(start, end), line };
    [start, line] = [end, line + lines];
  }
}

/** @returns false when reading on is useless */
function readSlice(slice: Slice, tokens: Map<string, TokenRecord>, problems: Problem[]): boolean {
  let rowEnd = slice.line - 1;
  function addRow(row: readonly string[], { lines }: { readonly lines: number }): undefined {
    rowEnd = slice.line - 1 + lines;
    // A quoted column may have line ends, so the row may begin some lines above.
    const line = rowEnd - row.join('').split('\n').length + 1;
    const message = problems.length < mostProblems ? add(tokens, row, line) : undefined;
    if (message !== undefined) problems.push({ line, message });
  }
  try {
    parse(slice.text, {
      record_delimiter: '\n',
      relax_column_count: true,
      skip_empty_lines: true,
      on_record: addRow,
    });
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    problems.push(quoteProblem(error, slice, rowEnd));
    return false;
  }
  return problems.length < mostProblems;
}

/** Replaces the message of csv-parse, which quotes the column, since that may be the token. */
function quoteProblem(error: CsvError, slice: Slice, rowEnd: number): Problem {
  if (error.code === 'CSV_QUOTE_NOT_CLOSED') {
    return { line: rowEnd + 1, message: 'a quote that opens in this row, or in one below, is never closed: close it' };
  }
  const line = slice.line - 1 + Number(error.lines);
  return {
    line,
    message: 'a quote within a column: put the whole column in quotes, and write each " in it twice',
  };
}

/** Adds the token of a row. @returns the problem of the row, if any */
function add(tokens: Map<string, TokenRecord>, row: readonly string[], line: number): string | undefined {
  const [token, username, uid, groups] = row;
  if (token === undefined || username === undefined || uid === undefined) {
    return `expected the columns token,user,uid and optionally "group1,group2" (and no comments), found ${row.length}`;
  }
  if (token === '') return 'the token, the first column, is empty: write one, or remove the row';
  if (token.includes('\uFFFD')) {
    return 'the token contains U+FFFD, the sign of wrongly decoded text: write the token again';
  }
  if (username === '') return 'the user name, the second column, is empty: write one, or remove the row';
  const key = blind(digestToken(token));
  const earlier = tokens.get(key);
  if (earlier !== undefined) return `the same token as in line ${earlier.line}: remove one of them`;
  const groupNames = groups?.split(',').filter((group) => group !== '');
  tokens.set(
    key,
    freezeRecord({ user: { username, ...(uid && { uid }), ...(groupNames && { groups: groupNames }) }, line }),
  );
  return undefined;
}
