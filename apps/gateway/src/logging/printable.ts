/**
 * A text that others wrote, fit for a line of a terminal or a page: control characters, line ends and marks that turn the
 * direction of writing are escaped, so that no name can move the cursor, add a row or look like another name.
 */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}

/** The same for a message of several lines, where these stay lines. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}
