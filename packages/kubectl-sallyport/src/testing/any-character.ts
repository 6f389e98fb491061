import fc from 'fast-check';

/** Any code point, as fast-check's unit `binary`, which takes a second to make. */
export const anyCharacter: fc.Arbitrary<string> = fc
  .nat(0x10_ffff)
  .map((code) => String.fromCodePoint(code).toWellFormed());
