import { createHmac } from 'node:crypto';
import { anyCharacter } from '@sallyport/scripts/any-character';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createHmacSha256 } from './hmac.ts';

test('equals what Node computes with the digits of the key, for any text, also in succession', () => {
  const keys = fc.uint8Array({ minLength: 32, maxLength: 32 });
  const texts = fc.array(fc.string({ unit: anyCharacter, maxLength: 200 }));
  fc.assert(
    fc.property(keys, texts, (key, list) => {
      const mac = createHmacSha256(key);
      const digits = Buffer.from(key).toString('hex');
      for (const text of list)
        expect(mac(text)).toBe(createHmac('sha256', digits).update(text).digest('base64url'));
    }),
  );
});

test.each([31, 33, 64])('takes no key of %i bytes', (length) => {
  expect(() => createHmacSha256(new Uint8Array(length))).toThrow(RangeError);
});
