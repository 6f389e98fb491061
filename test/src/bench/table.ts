import { median } from '../testing/median.ts';
import { figures, medianOf, type Row, ratioOf } from './measure.ts';
import type { ProfileRow } from './profile.ts';
import type { Scale } from './scale.ts';
import type { StartRow } from './start.ts';

/** Makes an aligned Markdown table with medians, and in brackets the median of the ratios to the baseline. */
export function reviewsTable(rows: readonly Row[], baseline: string): string {
  const names = [...Object.keys(figures), 'peak MiB'];
  const head = ['concurrent', 'contender', ...names.map((name) => `${name} (×)`)];
  const lines = rows.map((row) => {
    const base = rows.find(({ name, order }) => name === baseline && isSame(order, row.order));
    const cells = Object.values(figures).map((figure) =>
      cell(medianOf(row, figure), base && ratioOf(row, base, figure)),
    );
    const { at, protocol } = row.order;
    return [`${at} ${protocol}`, row.name, ...cells, cell(row.peak, base && row.peak / base.peak)];
  });
  return markdown(head, lines);
}

/** Makes a table with the median, the minimum and the maximum of all rounds. */
export function startTable(rows: readonly StartRow[]): string {
  const lines = rows.map(({ what, gateway, unit, values }) => {
    const some = [median(values), Math.min(...values), Math.max(...values)];
    return [what, gateway, ...some.map((value) => `${cell(value)} ${unit}`)];
  });
  return markdown(['what', 'gateway', 'median', 'min', 'max'], lines);
}

/** Makes a table of the parts with a hundredth or more. */
export function profileTable(rows: readonly ProfileRow[]): string {
  const lines = rows
    .filter(({ share }) => share >= 0.01)
    .map(({ name, part, cpu, share }) => [name, part, cell(cpu), `${Math.round(share * 100)} %`]);
  return markdown(['contender', 'part', 'CPU µs', 'share'], lines);
}

/** Makes a table with a line for each tenth of the tokens, then one for each pair of few and many. */
export function scaleTables({ tokens, pairs }: Scale): string {
  const lines = tokens.map(({ gateway, tokens: sent, entries, memory, cpu }) => [
    sent.toLocaleString('en'),
    gateway,
    entries.toLocaleString('en'),
    cell(memory),
    cell(cpu),
  ]);
  const head = ['distinct tokens', 'gateway', 'cached answers', 'memory MiB', 'CPU µs a review'];
  return [
    markdown(head, lines),
    ...pairs.map((pair) => reviewsTable(pair, pair[0]?.name ?? '')),
  ].join('\n\n');
}

const isSame = (one: Row['order'], other: Row['order']): boolean =>
  one.at === other.at && one.protocol === other.protocol;

function cell(value: number, ratio?: number): string {
  const digits = value < 10 ? 2 : value < 100 ? 1 : 0;
  const text = value.toLocaleString('en', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  return ratio === undefined ? text : `${text} (${ratio.toFixed(2)})`;
}

/** Makes a Markdown table. @param words how many columns from the left have words. The others have figures */
export function markdown(
  head: readonly string[],
  lines: readonly (readonly string[])[],
  words = 2,
): string {
  const widths = head.map((name, at) =>
    Math.max(...[head, ...lines].map((line) => (line[at] ?? name).length)),
  );
  const isFigure = (at: number): boolean => at >= words;
  const padded = (line: readonly string[]): string =>
    `| ${line.map((text, at) => (isFigure(at) ? text.padStart(widths[at] ?? 0) : text.padEnd(widths[at] ?? 0))).join(' | ')} |`;
  const rule = `| ${widths.map((width, at) => (isFigure(at) ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width))).join(' | ')} |`;
  return [padded(head), rule, ...lines.map(padded)].join('\n');
}
