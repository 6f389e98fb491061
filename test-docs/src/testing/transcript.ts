import type { Replacement } from './transcript-place.ts';

const minute = 60_000;
const day = 24 * 60 * minute;
/** The moment at which the commands of the pages are run. */
const shownStart = Date.parse('2030-01-31T12:00:00Z');

/**
 * Makes a text of what one run printed the same in each run: a time is counted from the start of the test, in steps of ten minutes, and
 * all that is random or measured has a fixed value of the same form.
 */
export function fixedText(
  printed: string,
  start: number,
  replacements: readonly Replacement[],
): string {
  const seen: string[] = [];
  const fixedId = (id: string): string => {
    if (!seen.includes(id)) seen.push(id);
    return ids[seen.indexOf(id)] ?? id;
  };
  return (
    replacements
      .reduce((text, [from, to]) => text.replaceAll(from, to), printed)
      .replaceAll(times, (time) => fixedTime(time, start))
      .replaceAll(/\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, fixedId)
      .replaceAll(/(?<="fingerprint":")[\w-]{22}/g, 'wsDIPDtI9ttEqcYoPk3rAR')
      .replaceAll(/(?<="seconds":)[\d.e-]+/g, '0.004')
      .replaceAll(/TIME +REASON/g, 'TIME    REASON')
      .replaceAll(/\b\d+\.\dms +/g, '2.4ms   ')
      .replaceAll(/\b7h5\dm/g, '8h   ')
      // Editors remove spaces at the end of a line, which prompts have.
      .replaceAll(/ +$/gm, '')
      .trimEnd()
  );
}

const times = /\b\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\d(?:\.\d{3})?Z| \d\d:\d\d)?(?!\d)/g;

/** Moves a time. It keeps its form: RFC 3339 with or without milliseconds, to the minute, or a day. */
function fixedTime(time: string, start: number): string {
  const isDay = time.length === 10;
  const passed = Date.parse(isDay || time.endsWith('Z') ? time : `${time}Z`) - start;
  // Only years are shown as days. The start is at any time of its day, and midnight may pass in the test: 5 days make no difference to these.
  const shown = new Date(
    shownStart +
      (isDay
        ? Math.round(passed / (5 * day)) * 5 * day
        : // A certificate begins and ends at a whole second, and a session at a whole minute.
          Math.floor((passed + minute) / (10 * minute)) * 10 * minute),
  );
  const text = shown.toISOString();
  if (isDay) return text.slice(0, 10);
  if (!time.endsWith('Z')) return text.slice(0, 16).replace('T', ' ');
  return time.includes('.') ? text : text.replace('.000', '');
}

const ids = [
  '1f9d4683-62e5-485f-b544-5cc219315268',
  '85e04759-621f-4c19-a241-0f04078325f8',
  'db13a344-8058-4041-9ec8-390de48e0831',
];

/** A place in a page for what a command prints: a comment with a name, and the block of code behind it. */
const places =
  /^(?<indent> *)<!-- output: (?<name>[\w-]+) -->\n(?<blank>\s*\n)?\k<indent>```console\n(?<text>.*?)^\k<indent>```$/gms;

/** Puts the texts into the places of a page. @param textOf returns what is in the place of a name */
export function withTranscripts(page: string, textOf: (name: string) => string): string {
  return page.replaceAll(places, (...match) => {
    const { indent = '', name = '', blank = '' } = match.at(-1);
    const lines = textOf(name).split('\n');
    const block = ['```console', ...lines, '```'].map((line) => line && indent + line);
    return `${indent}<!-- output: ${name} -->\n${blank}${block.join('\n')}`;
  });
}
