import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createSealingKey } from './seal.ts';
import { openShort, sealShort } from './short-seal.ts';

const [key, otherKey] = ['A', 'B'].map((letter) => createSealingKey(Buffer.alloc(32, letter)));
if (key === undefined || otherKey === undefined) throw new Error('there are two keys');
const text = fc.uint8Array({ maxLength: 100 });

test('a text is opened as it was sealed, with 12 bytes more, by its key and for its purpose alone', () => {
  fc.assert(
    fc.property(text, (plain) => {
      const { bytes, fingerprint } = sealShort(key, 'tests', plain);
      expect(bytes).toHaveLength(plain.length + 12);
      expect(openShort(key, 'tests', bytes)).toEqual({ bytes: Buffer.from(plain), fingerprint });
      expect(openShort(otherKey, 'tests', bytes)).toBeUndefined();
      expect(openShort(key, 'other tests', bytes)).toBeUndefined();
    }),
  );
});

test('a text with any bit changed, or cut off anywhere, is refused', () => {
  fc.assert(
    fc.property(text, (plain) => {
      const { bytes } = sealShort(key, 'tests', plain);
      for (let bit = 0; bit < bytes.length * 8; bit += 1) {
        const changed = Buffer.from(bytes);
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(openShort(key, 'tests', changed)).toBeUndefined();
      }
      for (let length = 0; length < bytes.length; length += 1)
        expect(openShort(key, 'tests', bytes.subarray(0, length))).toBeUndefined();
      expect(openShort(key, 'tests', Buffer.concat([bytes, Buffer.of(0)]))).toBeUndefined();
    }),
    { numRuns: 20 },
  );
});

test('two texts have nothing in common, and a seal shows nothing of its text', () => {
  const plain = Buffer.from('the laptop of jane, the laptop of jane');
  const { bytes, fingerprint } = sealShort(key, 'tests', plain);
  expect(bytes.toString('latin1')).not.toMatch(/laptop|jane/);
  expect(bytes.includes(fingerprint)).toBe(false);
  const next = sealShort(key, 'tests', Buffer.from('The laptop of jane, the laptop of jane'));
  const isSame = (one: Buffer, other: Buffer) =>
    one.filter((byte, at) => byte === other[at]).length;
  // 50 bytes that are random agree in 6 or more once in 10 million times; these never change.
  expect(isSame(bytes, next.bytes)).toBeLessThan(6);
  expect(next.fingerprint).not.toEqual(fingerprint);
});
