import { hash } from 'node:crypto';

const segmentCommand = 0x19;
const signatureCommand = 0x1d;
const pageSize = 4096;
const headerSize = 88;

const alignTo = (size: number, unit: number): number => Math.ceil(size / unit) * unit;

/**
 * Signs a macOS program ad hoc: with hashes of its pages, and without a certificate. macOS on Apple silicon runs no program
 * without that, and only a Mac has `codesign`. Go's linker signs in this way.
 *
 * @param program a 64-bit Mach-O file without a signature
 * @param identifier the name of the program in its signature
 * @see https://github.com/golang/go/blob/go1.25.0/src/cmd/internal/codesign/codesign.go
 * @throws Error when the file has a signature, or no room for the load command of one
 */
export function signMachO(program: Buffer, identifier: string): Buffer {
  const { commandsEnd, linkedit, text } = readLayout(program);
  const codeSize = alignTo(program.length, 16);
  const pages = Math.ceil(codeSize / pageSize);
  const identifierBytes = Buffer.from(`${identifier}\0`);
  const directorySize = headerSize + identifierBytes.length + pages * 32;
  const signatureSize = 20 + directorySize;
  const signed = Buffer.alloc(codeSize + signatureSize);
  program.copy(signed);

  signed.writeUInt32LE(program.readUInt32LE(16) + 1, 16);
  signed.writeUInt32LE(program.readUInt32LE(20) + 16, 20);
  for (const [index, value] of [signatureCommand, 16, codeSize, signatureSize].entries())
    signed.writeUInt32LE(value, commandsEnd + 4 * index);
  const linkeditSize = BigInt(signed.length) - program.readBigUInt64LE(linkedit + 40);
  signed.writeBigUInt64LE(BigInt(alignTo(Number(linkeditSize), 0x4000)), linkedit + 32);
  signed.writeBigUInt64LE(linkeditSize, linkedit + 48);

  // A superblob with one blob, the code directory, whose fields are big-endian. 0x2 means: ad hoc.
  const superblob = [0xfade0cc0, signatureSize, 1, 0, 20];
  const directory = [0xfade0c02, directorySize, 0x20400, 2, directorySize - pages * 32, headerSize];
  const sizes = [0, pages, codeSize];
  for (const [index, value] of [...superblob, ...directory, ...sizes].entries())
    signed.writeUInt32BE(value, codeSize + 4 * index);
  const start = codeSize + 20;
  // SHA-256 (2), whose hashes have 32 bytes, of pages of 2 to the power of 12 bytes.
  signed.set([32, 2, 0, Math.log2(pageSize)], start + 36);
  signed.writeBigUInt64BE(program.readBigUInt64LE(text + 40), start + 64);
  signed.writeBigUInt64BE(program.readBigUInt64LE(text + 48), start + 72);
  // The flag of a main program, as opposed to a library.
  signed.writeBigUInt64BE(1n, start + 80);
  signed.set(identifierBytes, start + headerSize);
  for (let page = 0; page < pages; page += 1) {
    const from = page * pageSize;
    const bytes = signed.subarray(from, Math.min(from + pageSize, codeSize));
    signed.set(hash('sha256', bytes, 'buffer'), start + directorySize - (pages - page) * 32);
  }
  return signed;
}

/** Finds the end of the load commands, and the segments `__TEXT` and `__LINKEDIT`. */
function readLayout(program: Buffer) {
  if (program.readUInt32LE(0) !== 0xfeedfacf) throw new Error('this is not a 64-bit Mach-O file');
  const segments = new Map<string, number>();
  let commandsEnd = 32;
  for (let count = program.readUInt32LE(16); count > 0; count -= 1) {
    const command = program.readUInt32LE(commandsEnd);
    if (command === signatureCommand) throw new Error('the program has a signature already');
    if (command === segmentCommand) {
      const name = program.toString('latin1', commandsEnd + 8, commandsEnd + 24);
      segments.set(name.replace(/\0+$/, ''), commandsEnd);
    }
    commandsEnd += program.readUInt32LE(commandsEnd + 4);
  }
  const [text, linkedit] = [segments.get('__TEXT'), segments.get('__LINKEDIT')];
  if (text === undefined || linkedit === undefined)
    throw new Error('the program has no segment __TEXT or __LINKEDIT');
  const linkeditEnd =
    program.readBigUInt64LE(linkedit + 40) + program.readBigUInt64LE(linkedit + 48);
  if (linkeditEnd !== BigInt(program.length))
    throw new Error('the segment __LINKEDIT is not the end of the program');
  // The file offset in the first section of __TEXT is where the code begins.
  if (commandsEnd + 16 > program.readUInt32LE(text + 72 + 48))
    throw new Error('the header of the program has no room for a signature');
  return { commandsEnd, linkedit, text };
}
