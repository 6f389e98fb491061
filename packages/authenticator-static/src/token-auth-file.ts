import { setImmediate as nextTurn } from 'node:timers/promises';
import { CsvError, parse } from 'csv-parse/sync';
import { type Fault, mostFaults, TokenFileError } from './faults.ts';
import { decode, type Slice, sliceLength } from './text.ts';
import { blind, digestToken, freezeRecord, type TokenRecord, type TokenSet } from './token-set.ts';

/**
 * Reads Kubernetes' static token file, `token,user,uid,"group1,group2"`, as kube-apiserver does
 * (kubernetes/apiserver pkg/authentication/token/tokenfile/tokenfile.go, on Go's encoding/csv): blank lines are
 * skipped, `#` begins no comment, spaces belong to their column, columns after the fourth mean nothing. It is stricter
 * in what can only be a mistake: an empty token, an empty user name, a token given twice (there: skipped, let through,
 * the last one wins). And an empty group, which no rule of Kubernetes can name, is left out.
 *
 * A token is turned into its digest as soon as its row is read.
 *
 * @throws TokenFileError
 */
export async function readTokenAuthFile(file: string, content: Buffer): Promise<TokenSet> {
  const tokens = new Map<string, TokenRecord>();
  const faults: Fault[] = [];
  const text = decode(file, content);
  if (text.startsWith('\uFEFF')) faults.push({ line: 1, message: byteOrderMark });
  for (const slice of slices(normalize(text))) {
    if (!readSlice(slice, tokens, faults)) break;
    await nextTurn();
  }
  if (faults.length > 0) throw new TokenFileError(file, faults);
  return tokens;
}

const byteOrderMark =
  'the file begins with a byte order mark, which kube-apiserver takes for a part of the first token: save it without';

/** Line ends as Go's encoding/csv sees them, within quotes too: CR LF is LF, and a CR that ends the file is nothing. */
function normalize(text: string): string {
  return text.replaceAll('\r\n', '\n').replace(/\r$/, '');
}

/** Cuts at line ends outside of quotes. Those are where, in a well-formed file, an even number of quotes went before. */
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

/** False when there is no use in reading on. */
function readSlice(slice: Slice, tokens: Map<string, TokenRecord>, faults: Fault[]): boolean {
  let rowEnd = slice.line - 1;
  function addRow(row: readonly string[], { lines }: { readonly lines: number }): undefined {
    rowEnd = slice.line - 1 + lines;
    // A quoted column may hold line ends: the row began so many lines above.
    const line = rowEnd - row.join('').split('\n').length + 1;
    const message = faults.length < mostFaults ? add(tokens, row, line) : undefined;
    if (message !== undefined) faults.push({ line, message });
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
    faults.push(quoteFault(error, slice, rowEnd));
    return false;
  }
  return faults.length < mostFaults;
}

/** In words of our own, for those of csv-parse quote the column, which may be the token. */
function quoteFault(error: CsvError, slice: Slice, rowEnd: number): Fault {
  if (error.code === 'CSV_QUOTE_NOT_CLOSED') {
    return { line: rowEnd + 1, message: 'a quote that opens in this row, or in one below, is never closed' };
  }
  const line = slice.line - 1 + Number(error.lines);
  return {
    line,
    message: 'a quote stands within a column: put the whole column in quotes, and write each " of it twice',
  };
}

/** What is wrong with the row, if anything. */
function add(tokens: Map<string, TokenRecord>, row: readonly string[], line: number): string | undefined {
  const [token, username, uid, groups] = row;
  if (token === undefined || username === undefined || uid === undefined) {
    return `columns found: ${row.length}, needed: token,user,uid and maybe "group1,group2" (and no comments)`;
  }
  if (token === '') return 'the token, the first column, is empty: give one, or take the row out';
  if (token.includes('\uFFFD')) {
    return 'the token holds U+FFFD, the mark of text that was decoded wrongly: write the token anew';
  }
  if (username === '') return 'the user name, the second column, is empty: give one, or take the row out';
  const key = blind(digestToken(token));
  const earlier = tokens.get(key);
  if (earlier !== undefined) return `the same token as in line ${earlier.line}: take one of the two out`;
  const groupNames = groups?.split(',').filter((group) => group !== '');
  tokens.set(
    key,
    freezeRecord({ user: { username, ...(uid && { uid }), ...(groupNames && { groups: groupNames }) }, line }),
  );
  return undefined;
}
