import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createHmacSha256 } from './hmac.ts';

// RFC 4231, sections 4.2 and 4.3.
test.each([
  ['0b'.repeat(20), 'Hi There', 'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7'],
  [
    Buffer.from('Jefe').toString('hex'),
    'what do ya want for nothing?',
    '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
  ],
])('the test cases of its RFC: %s', (key, message, digest) => {
  expect(createHmacSha256(Buffer.from(key, 'hex'))(Buffer.from(message)).toString('hex')).toBe(digest);
});

test('is what Node makes, for any message and any key of a block at most', () => {
  const bytes = (maxLength: number) => fc.uint8Array({ maxLength });
  fc.assert(
    fc.property(bytes(64), bytes(300), (key, message) => {
      const ours = createHmacSha256(key)(message);
      expect(ours.equals(createHmac('sha256', key).update(message).digest())).toBe(true);
    }),
  );
  expect(() => createHmacSha256(new Uint8Array(65))).toThrow(RangeError);
});
