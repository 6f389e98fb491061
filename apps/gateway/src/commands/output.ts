import { printable } from '../base/logging/printable.ts';
import { FixableError, onTwoLines } from '../config/problems.ts';
import type { CommandContext } from './context.ts';

export const exitCodes = {
  success: 0,
  /** Something is wrong with the config, a file or a backend, or a command was not confirmed by all replicas. */
  failure: 1,
  usage: 2,
  /** `explain`: the token or user is refused or unknown. `revoke`, `unlock`, `token list`: there was nothing to revoke, unlock or list. */
  negative: 3,
  /** `explain`: the answer depends on audiences that are not known. */
  dependent: 4,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** A UsageError means that the command line is wrong. */
export class UsageError extends FixableError {
  override readonly name = 'UsageError';
}

/**
 * Prints columns under upper-case heads. No cell can play tricks on the terminal.
 *
 * @param empty the remark that is printed if there are no rows
 */
export function printTable(
  context: Pick<CommandContext, 'stdout' | 'stderr'>,
  head: readonly string[],
  rows: readonly (readonly string[])[],
  empty?: string,
): void {
  if (rows.length === 0 && empty !== undefined) printRemark(context, empty);
  else context.stdout.write(`${columns([head, ...rows.map((row) => row.map(printable))])}\n`);
}

export function printJson({ stdout }: Pick<CommandContext, 'stdout'>, value: unknown): void {
  stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** Prints a remark on standard error, where it is seen even with `-o json`. @param fix what to do about it */
export function printRemark(
  { stderr }: Pick<CommandContext, 'stderr'>,
  remark: string,
  fix?: string,
): void {
  stderr.write(`sallyport: ${onTwoLines({ message: remark, fix })}\n`);
}

/**
 * Formats rows as lines of aligned columns. As with kubectl, there are no rules and no colours, for eyes and for grep. Only the last cell
 * of a row may have several lines. A hundred thousand rows are no problem; table libraries, which look for cells that span rows, take
 * time by the square of their number.
 */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.slice(0, -1).entries()) {
      widths[column] = Math.max(widths[column] ?? 0, displayWidth(cell));
    }
  }
  const lines = rows.map((row) => {
    const padded = row.slice(0, -1).map((cell, column) => {
      return cell + ' '.repeat((widths[column] ?? 0) - displayWidth(cell) + 3);
    });
    const indent = ' '.repeat(widths.reduce((sum, width) => sum + width + 3, 0));
    return (padded.join('') + (row.at(-1) ?? '').replaceAll('\n', `\n${indent}`)).trimEnd();
  });
  return lines.join('\n');
}

/**
 * Matches what takes two columns on a terminal: Unicode's East Asian Width `W` and `F` (UAX #11), by script without the halfwidth forms,
 * and emoji.
 */
const wide =
  /^(?![\uff61-\uffdc])[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Bopomofo}\p{Script=Yi}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6\p{Emoji_Presentation}]/u;

/** It takes some milliseconds to make, and few commands need it. */
let graphemes: Intl.Segmenter | undefined;

function displayWidth(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  graphemes ??= new Intl.Segmenter('en', { granularity: 'grapheme' });
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += wide.test(segment) ? 2 : 1;
  return width;
}
