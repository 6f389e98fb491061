/**
 * Bytes that no other list of texts makes: each text stands behind its length, so that ['a', 'bc'] and ['ab', 'c'] differ.
 * UTF-16 as it is, since UTF-8 would make one of all lone surrogates.
 */
export function lengthPrefixed(...texts: readonly string[]): Buffer {
  const size = texts.reduce((sum, text) => sum + 4 + text.length * 2, 0);
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (const text of texts) {
    at = bytes.writeUInt32BE(text.length, at);
    at += bytes.write(text, at, 'utf16le');
  }
  return bytes;
}
