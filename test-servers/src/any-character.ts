import fc from 'fast-check';

/** As the unit 'binary' of fc.string, whose first use fills a table of all 1.1 million characters: a second in each process. */
export const anyCharacter: fc.Arbitrary<string> = fc
  .nat(0x10_ffff)
  .map((code) => String.fromCodePoint(code), codeOf)
  .filter((character) => character.isWellFormed());

function codeOf(text: unknown): number {
  const code = typeof text === 'string' ? text.codePointAt(0) : undefined;
  if (code === undefined || String.fromCodePoint(code) !== text) throw new Error('this is not one character');
  return code;
}
