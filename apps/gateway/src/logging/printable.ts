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

/** Lone surrogates among them, which are halves of a character. The rest of what `printable` escapes is in names of people. */
const misleading = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/u;

/**
 * Whether a text has a control character, a line end or a mark that turns the direction of writing: in a log or on a
 * screen it may look like another text, or like several.
 */
export function isMisleading(text: string): boolean {
  return misleading.test(text);
}
