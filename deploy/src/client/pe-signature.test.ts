import { expect, test } from 'vitest';
import { removePeSignature } from './pe-signature.ts';

/** The header is at 64, so the optional header is at 88: its checksum at 152, the place of the signature at 232. */
function createProgram(signatureStart: number, signatureSize: number): Buffer {
  const program = Buffer.alloc(1000, 'x');
  for (const [offset, value] of [
    [0x3c, 64],
    [152, 0x1234],
    [232, signatureStart],
    [236, signatureSize],
  ] as const)
    program.writeUInt32LE(value, offset);
  return program;
}

test('without its signature, a Windows program ends before it, and names neither it nor a checksum', () => {
  const program = createProgram(900, 100);
  const unsigned = removePeSignature(program);
  const expected = Buffer.from(program.subarray(0, 900));
  for (const offset of [152, 232, 236]) expected.writeUInt32LE(0, offset);
  expect(unsigned).toEqual(expected);
});

test('a Windows program without a signature stays as it is, and one with something behind it is refused', () => {
  const program = createProgram(0, 0);
  expect(removePeSignature(program)).toEqual(createProgram(0, 0));
  expect(() => removePeSignature(createProgram(800, 100))).toThrow('signed in another way');
});
