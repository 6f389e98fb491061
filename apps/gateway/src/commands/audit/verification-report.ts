import { printable } from '../../logging/printable.ts';
import { columns } from '../output.ts';
import type { BootReport, Place, TrailReport } from './trail-check.ts';

/** Gaps of one process that are told one by one. */
const mostGaps = 20;

/** A table of the processes that wrote the trail; below it, each fault and what is worth a look. */
export function printVerification(report: TrailReport): void {
  const head = ['BOOT', 'LINES', 'FIRST', 'LAST', 'FROM', 'TO', 'MISSING', 'REPEATS', 'DROPPED', 'TORN'];
  const rows = report.boots.map((one) => [
    printable(one.boot),
    ...[one.lines, one.first, one.last].map(String),
    ...[one.from, one.to].map(printable),
    ...[one.missing, one.repeats, one.dropped].map(String),
    one.torn === undefined ? 'no' : 'yes',
  ]);
  const lines = [...(rows.length > 0 ? [columns([head, ...rows]), ''] : []), ...details(report), conclusion(report)];
  process.stdout.write(`${lines.join('\n')}\n`);
}

function details({ boots, torn, unreadable, unreadableAt }: TrailReport): string[] {
  return [
    ...boots.flatMap(ofBoot),
    ...torn.map((place) => `torn: ${at(place)}: the end of a line is not there`),
    ...unreadableAt.map((place) => `fault: ${at(place)}: this is no line of an audit trail`),
    ...more(unreadable - unreadableAt.length, 'lines that can not be read'),
  ];
}

function ofBoot({ boot, gaps, missing, repeats, dropped, first, torn }: BootReport): string[] {
  const who = printable(boot);
  const shown = gaps.slice(0, mostGaps);
  const counted = shown.reduce((sum, gap) => sum + gap.last - gap.first + 1, 0);
  return [
    ...shown.map(
      (gap) => `fault: ${who}: ${gap.first === gap.last ? gap.first : `${gap.first} to ${gap.last}`} missing`,
    ),
    ...more(missing - counted, `missing lines of ${who}`),
    ...(repeats > 0 ? [`fault: ${who}: ${repeats} lines have a number that was there before`] : []),
    ...(dropped > 0 ? [`dropped: ${who}: ${dropped} lines found no room, as the trail says itself`] : []),
    ...(first - dropped > 1 && missing === 0
      ? [`begins: ${who}: with ${first}: what was before is in an earlier file`]
      : []),
    ...(torn === undefined ? [] : [`torn: ${at(torn)}: the process was stopped within this line`]),
  ];
}

function more(count: number, what: string): string[] {
  return count > 0 ? [`fault: ${count} more ${what}`] : [];
}

function at({ file, line }: Place): string {
  return `${printable(file)}:${line}`;
}

function conclusion({ boots, isWhole }: TrailReport): string {
  const lines = boots.reduce((sum, one) => sum + one.lines, 0);
  const counted = `${lines} lines of ${boots.length} ${boots.length === 1 ? 'process' : 'processes'}`;
  return isWhole ? `${counted}: nothing is missing that the trail does not tell of` : `${counted}: not whole`;
}
