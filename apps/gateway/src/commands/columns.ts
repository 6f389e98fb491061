const gap = '   ';

/**
 * Rows as lines of aligned columns. No rules and no colours: what kubectl prints, for eyes and for grep. A cell of several
 * lines makes its row as high. It takes a hundred thousand rows in its stride, where table libraries, which look out
 * for cells that span rows, take time by the square of their number.
 */
export function columns(rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map((cell) => cell.split('\n')));
  const widths: number[] = [];
  for (const row of cells) {
    for (const [column, lines] of row.entries()) {
      for (const line of lines) widths[column] = Math.max(widths[column] ?? 0, displayWidth(line));
    }
  }
  const linesOf = (row: readonly (readonly string[])[]) => {
    const height = Math.max(...row.map((lines) => lines.length));
    return Array.from({ length: height }, (_, index) => {
      const padded = row.map((lines, column) => pad(lines[index] ?? '', widths[column] ?? 0));
      return padded.join(gap).trimEnd();
    });
  };
  return cells.flatMap(linesOf).join('\n');
}

function pad(text: string, width: number): string {
  return text + ' '.repeat(width - displayWidth(text));
}

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** What takes two places on a terminal: Unicode's East Asian Width `W` and `F` (UAX #11), by script without the halfwidth forms, and emoji. */
const wide =
  /^(?![\uff61-\uffdc])[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Bopomofo}\p{Script=Yi}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6\p{Emoji_Presentation}]/u;

function displayWidth(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += wide.test(segment) ? 2 : 1;
  return width;
}
