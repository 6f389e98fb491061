/**
 * Removes the signature of a Windows program. Once something is put into the program, the signature is wrong, and its place
 * in the file is overwritten, so that a later signature could not be added.
 *
 * @see https://learn.microsoft.com/en-us/windows/win32/debug/pe-format
 * @throws Error when the signature is not the end of the file
 */
export function removePeSignature(program: Buffer): Buffer {
  const optionalHeader = program.readUInt32LE(0x3c) + 24;
  const certificateTable = optionalHeader + 112 + 4 * 8;
  const start = program.readUInt32LE(certificateTable);
  const size = program.readUInt32LE(certificateTable + 4);
  if (size === 0) return program;
  if (start + size !== program.length)
    throw new Error('the signature of node.exe is not at its end: it was signed in another way');
  const unsigned = Buffer.from(program.subarray(0, start));
  unsigned.fill(0, certificateTable, certificateTable + 8);
  // The checksum covers the signature. Windows reads it in drivers only, and 0 means that there is none.
  unsigned.writeUInt32LE(0, optionalHeader + 64);
  return unsigned;
}
