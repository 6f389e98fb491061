/**
 * Makes a foreign text safe for a line of a terminal or a page. It escapes control characters, line ends and direction
 * marks, so that no name can move the cursor, add a row or look like another name.
 */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}

/** Does the same with a message of several lines, and keeps its line ends. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

/**
 * It includes lone surrogates, which are halves of a character. The other marks that `printable` escapes can be in
 * names of people.
 */
const misleading = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/u;

/**
 * Whether a text has a control character, a line end or a direction mark: in a log or on a screen it may look like
 * another text, or like several.
 */
export function isMisleading(text: string): boolean {
  return misleading.test(text);
}
