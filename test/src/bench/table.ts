import { median } from '../testing/median.ts';
import { type Figure, figures, medianOf, type Row, ratioOf } from './measure.ts';
import type { Memory } from './memory.ts';
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

/** Makes a table with a column for each contender. The ratios are to the first of several gateways, and to the stack. */
export function memoryTable(all: readonly Memory[]): string {
  const bases = [...(all.length > 2 ? all.slice(0, 1) : []), ...all.slice(-1)];
  const rows: Readonly<Record<string, (one: Memory) => string>> = {
    'MiB idle': ({ idle }) => cell(idle),
    'MiB after half of the load': (one) => cell(halves(one).half),
    'MiB after the load': (one) => cell(halves(one).end),
    'MiB in its second half': (one) => {
      const { second } = halves(one);
      return `${cell(Math.min(...second))} to ${cell(Math.max(...second))}`;
    },
    'MiB that half added': (one) => {
      const { half, end } = halves(one);
      return (end - half).toFixed(1);
    },
    'MiB 20s after the load': ({ later }) => cell(later),
    'MiB at most': ({ load }) => cell(load.peak),
    'MiB with 50,000 cached users': ({ cachedUsers: users }) => (users ? cell(users.before) : ''),
    'MiB after a collection': ({ cachedUsers: users }) => (users ? cell(users.after) : ''),
    'CPU µs a review': ({ load }) => cell(medianOf(load, cpu)),
    ...Object.fromEntries(
      bases.map(({ name, load: base }) => [
        `CPU × ${name}`,
        ({ load }: Memory) => ratioOf(load, base, cpu).toFixed(2),
      ]),
    ),
  };
  const lines = Object.entries(rows).map(([what, figure]) => [what, ...all.map(figure)]);
  return markdown(['what', ...all.map(({ name }) => name)], lines, 1);
}

const cpu: Figure = (turn) => turn.cpu;

/** The memory after half of the load, after each further tenth, and at the end. */
function halves({ load: { turns } }: Memory) {
  const memory = turns.map((turn) => turn.memory);
  const second = memory.slice(-Math.ceil(memory.length / 2));
  return { half: memory.at(-second.length - 1) ?? 0, second, end: memory.at(-1) ?? 0 };
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
