import { hash } from 'node:crypto';
import { expect, test } from 'vitest';
import { signMachO } from './mach-o-signature.ts';

const sections = 0x1000;

/** Makes a program with __TEXT, whose code begins at 0x1000, and __LINKEDIT, which ends after 0x2345 bytes. */
function createProgram(): Buffer {
  const program = Buffer.alloc(0x2345, 'x');
  program.fill(0, 0, sections);
  const write = (offset: number, ...values: readonly number[]) => {
    for (const [index, value] of values.entries()) program.writeUInt32LE(value, offset + 4 * index);
  };
  write(0, 0xfeedfacf, 0x100000c, 0, 2, 2, 152 + 72);
  write(32, 0x19, 152);
  program.write('__TEXT', 40);
  program.writeBigUInt64LE(0x2000n, 32 + 48);
  write(32 + 72 + 48, sections);
  write(184, 0x19, 72);
  program.write('__LINKEDIT', 192);
  program.writeBigUInt64LE(0x2000n, 184 + 40);
  program.writeBigUInt64LE(0x345n, 184 + 48);
  return program;
}

test('a signed program has a signature with the hash of each page, at the end of __LINKEDIT', () => {
  const program = createProgram();
  const signed = signMachO(program, 'kubectl-sallyport');
  expect([signed.readUInt32LE(16), signed.readUInt32LE(20)]).toEqual([3, 152 + 72 + 16]);
  const [command, size, start, length] = [0, 4, 8, 12].map((at) => signed.readUInt32LE(256 + at));
  expect([command, size, start]).toEqual([0x1d, 16, 0x2350]);
  expect(Number(start) + Number(length)).toBe(signed.length);
  expect(signed.readBigUInt64LE(184 + 48)).toBe(BigInt(signed.length - 0x2000));
  expect(signed.readBigUInt64LE(184 + 32)).toBe(0x4000n);
  // What was in the program is as before, but for its header.
  expect(signed.subarray(sections, program.length)).toEqual(program.subarray(sections));

  const signature = signed.subarray(start);
  expect(signature.readUInt32BE(0)).toBe(0xfade0cc0);
  const directory = signature.subarray(20);
  const [magic, , version, flags, hashes, identifier, special, pages, limit] = Array.from(
    { length: 9 },
    (_, index) => directory.readUInt32BE(4 * index),
  );
  expect([magic, version, flags, special, pages, limit]).toEqual([
    0xfade0c02, 0x20400, 2, 0, 3, 0x2350,
  ]);
  expect(directory.toString('latin1', identifier, hashes)).toBe('kubectl-sallyport\0');
  expect([...directory.subarray(36, 40)]).toEqual([32, 2, 0, 12]);
  const digests = [0, 0x1000, 0x2000].map((from) =>
    hash('sha256', signed.subarray(from, Math.min(from + 0x1000, Number(limit)))),
  );
  expect(directory.toString('hex', hashes)).toBe(digests.join(''));
});

test.each([
  ['is no Mach-O file', (program: Buffer) => program.writeUInt32LE(0, 0), /not a 64-bit Mach-O/],
  ['has a signature', (program: Buffer) => program.writeUInt32LE(0x1d, 184), /signature already/],
  ['has no room', (program: Buffer) => program.writeUInt32LE(260, 152), /no room for a signature/],
  ['has no __TEXT', (program: Buffer) => program.write('x', 40), /no segment __TEXT/],
  ['goes on after __LINKEDIT', (program: Buffer) => program.fill(1, 232, 233), /not the end/],
])('a program that %s is refused', (_, change, message) => {
  const program = createProgram();
  change(program);
  expect(() => signMachO(program, 'kubectl-sallyport')).toThrow(message);
});
