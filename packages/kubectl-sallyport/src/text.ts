export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Reads an object in JSON. @returns undefined for any other text */
export function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return;
  }
}

/**
 * Makes a text of others fit for a terminal: names and messages of a kubeconfig or of a server may have sequences that
 * move the cursor or change its colors. Errors and warnings pass through it where they are shown.
 */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\u{fffd}');
}

/** Quotes a word for a line that is to be pasted into a shell. */
export function shellWord(word: string): string {
  const clean = printable(word);
  return /^[\w@%+=:,./-]+$/.test(clean) ? clean : `'${clean.replaceAll("'", `'\\''`)}'`;
}

/** Writes columns with two spaces between them. */
export function table(rows: readonly (readonly string[])[]): string {
  const width = (column: number) => Math.max(...rows.map((row) => row[column]?.length ?? 0));
  const lines = rows.map((row) => row.map((cell, column) => cell.padEnd(width(column))).join('  '));
  return lines.map((line) => `${line.trimEnd()}\n`).join('');
}

/**
 * Writes a time for the user, by the clock of their machine, with its offset from UTC: `2026-01-31 14:05 +01:00`, or `2026-01-31 13:05 UTC`.
 *
 * @param offset minutes that the machine's clock is ahead of UTC at that time
 */
export function localTime(
  time: string | number,
  offset = -new Date(time).getTimezoneOffset(),
): string {
  const local = new Date(new Date(time).getTime() + offset * 60_000);
  if (Number.isNaN(local.getTime())) return '-';
  const [day, clock] = [local.toISOString().slice(0, 10), local.toISOString().slice(11, 16)];
  return `${day} ${clock} ${offset === 0 ? 'UTC' : offsetText(offset)}`;
}

/** Writes minutes ahead of UTC as ISO 8601 does: `+05:30`. */
function offsetText(minutes: number): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const size = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

/** Says who has logged in, as a line. */
export function loginText({
  cluster,
  user,
  expiresAt,
}: {
  readonly cluster: string;
  readonly user: string;
  readonly expiresAt: number;
}): string {
  return `logged in to cluster ${printable(cluster)} as ${printable(user)} until ${localTime(expiresAt)}\n`;
}

/** Words a duration in the largest unit of which it is a whole number: `2h`, `90m` or `45s`. */
export function spanText(seconds: number): string {
  if (seconds % 3_600 === 0) return `${seconds / 3_600}h`;
  return seconds % 60 === 0 ? `${seconds / 60}m` : `${seconds}s`;
}
