/** Quotes a text as one word of a POSIX shell: single quotes keep all but themselves (POSIX.1-2024, Shell Command Language, 2.2.2). */
export function shellQuoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
