import { createCipheriv, createHmac, randomBytes } from 'node:crypto';
import { anyCharacter } from '@sallyport/scripts/any-character';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createSealingKey, open, openText, seal, sealText } from './seal.ts';

const bytes = fc.uint8Array({ maxLength: 300 });
const keys = fc.uint8Array({ minLength: 32, maxLength: 32 });
const names = fc.string({ unit: anyCharacter, maxLength: 60 });

/** The overhead in bytes: one of format, twelve of nonce, sixteen of tag. */
const overhead = 29;

function flipped(sealed: Uint8Array, bit: number): Buffer {
  const changed = Buffer.from(sealed);
  changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
  return changed;
}

describe('a sealed text', () => {
  test('opens under its key at its place, for any text', () => {
    fc.assert(
      fc.property(keys, names, bytes, (key, name, plain) => {
        expect(open(key, name, seal(key, name, plain))).toEqual(Buffer.from(plain));
      }),
    );
  });

  test('shows nothing of the text but its length, and never the same bytes twice', () => {
    const [key, plain] = [randomBytes(32), Buffer.from('system:masters '.repeat(20))];
    const sealed = Array.from({ length: 200 }, () => seal(key, 'here', plain));
    for (const one of sealed) {
      expect(one).toHaveLength(overhead + plain.length);
      expect(one.includes('masters')).toBe(false);
    }
    const nonces = sealed.map((one) => one.toString('hex', 1, 13));
    expect(new Set(nonces).size).toBe(sealed.length);
  });

  test('does not open with any bit flipped', () => {
    const [key, plain] = [randomBytes(32), Buffer.from('{"user":"jane"}')];
    const sealed = seal(key, 'here', plain);
    for (let bit = 0; bit < sealed.length * 8; bit += 1)
      expect(open(key, 'here', flipped(sealed, bit))).toBeUndefined();
  });

  test('does not open with bits flipped anywhere, cut off at either end, or with bytes added', () => {
    fc.assert(
      fc.property(
        keys,
        bytes,
        fc.nat(),
        fc.nat(),
        fc.uint8Array({ minLength: 1, maxLength: 40 }),
        (key, plain, ...at) => {
          const [bit, end, more] = at;
          const sealed = seal(key, 'here', plain);
          const cut = end % sealed.length;
          for (const changed of [
            flipped(sealed, bit % (sealed.length * 8)),
            sealed.subarray(0, cut),
            sealed.subarray(sealed.length - cut),
            Buffer.concat([sealed, more]),
            Buffer.concat([more, sealed]),
          ]) {
            expect(open(key, 'here', changed)).toBeUndefined();
          }
        },
      ),
    );
  });

  test('does not open at another place, nor under another key', () => {
    fc.assert(
      fc.property(keys, keys, names, names, bytes, (key, otherKey, name, otherName, plain) => {
        fc.pre(name !== otherName && Buffer.compare(key, otherKey) !== 0);
        const sealed = seal(key, name, plain);
        expect(open(key, otherName, sealed)).toBeUndefined();
        expect(open(otherKey, name, sealed)).toBeUndefined();
      }),
    );
  });

  test('does not open when parts of two are combined', () => {
    const key = randomBytes(32);
    const [one, other] = ['jane', 'root'].map((user) => seal(key, 'here', Buffer.from(user)));
    if (one === undefined || other === undefined) throw new Error('nothing sealed');
    // The cuts are within the nonce, after it, within the text, and before the tag.
    for (const cut of [7, 13, 15, one.length - 16]) {
      expect(
        open(key, 'here', Buffer.concat([one.subarray(0, cut), other.subarray(cut)])),
      ).toBeUndefined();
    }
  });

  test('never throws, whatever it is given', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (sealed) => {
        expect(open(Buffer.alloc(32), 'here', sealed)).toBeUndefined();
        expect(open(Buffer.alloc(32), 'here', Uint8Array.of(1, ...sealed))).toBeUndefined();
      }),
    );
  });
});

test('each place has a key of its own, and the name and the format are bound too', () => {
  const [key, nonce, plain] = [randomBytes(32), randomBytes(12), Buffer.from('jane')];
  const ownKey = createHmac('sha256', key).update('here').digest();
  const make = (format: number, withKey: Buffer, bound: string) => {
    const cipher = createCipheriv('aes-256-gcm', withKey, nonce).setAAD(Buffer.from(bound));
    return Buffer.concat([
      Buffer.of(format),
      nonce,
      cipher.update(plain),
      cipher.final(),
      cipher.getAuthTag(),
    ]);
  };
  expect(open(key, 'here', make(1, ownKey, '\u0001here'))).toEqual(plain);
  // Each is right except for one thing.
  expect(open(key, 'here', make(1, key, '\u0001here'))).toBeUndefined();
  expect(open(key, 'here', make(1, ownKey, '\u0001there'))).toBeUndefined();
  expect(open(key, 'here', make(1, ownKey, 'here'))).toBeUndefined();
  expect(open(key, 'here', make(0, ownKey, '\u0000here'))).toBeUndefined();
  expect(open(key, 'here', make(2, ownKey, '\u0002here'))).toBeUndefined();
});

const hmac = (key: Uint8Array | string, ...parts: (string | Uint8Array)[]) => {
  const made = createHmac('sha256', key);
  for (const part of parts) made.update(part);
  return made.digest();
};

/** RFC 5869, sections 2.2 and 2.3, for one block. */
const hkdf = (secret: Uint8Array, salt: string, purpose: string) =>
  hmac(hmac(salt, secret), purpose, Uint8Array.of(1));

describe('a sealing key', () => {
  test('derives as RFC 5869 says, the same in every replica and at every call', () => {
    const secret = randomBytes(48);
    for (const purpose of ['cache names', 'cache records', '']) {
      const expected = hkdf(secret, 'sallyport cache v1', purpose);
      const key = createSealingKey(secret);
      for (const each of [key, key, createSealingKey(Buffer.from(secret))]) {
        expect(Buffer.from(each.derive(purpose))).toEqual(expected);
      }
    }
  });

  test('has a different key for each purpose and each secret, of 256 bits each', () => {
    const secrets = [randomBytes(32), randomBytes(32), randomBytes(33)];
    const purposes = ['cache names', 'cache records', 'cache record', 'tag', ''];
    const made = secrets.flatMap((secret) =>
      purposes.map((purpose) => createSealingKey(secret).derive(purpose)),
    );
    expect(made.map(({ length }) => length)).toEqual(made.map(() => 32));
    expect(new Set(made.map((one) => Buffer.from(one).toString('hex'))).size).toBe(made.length);
  });

  test('differs for each place, so that what one fleet has sealed opens nowhere else', () => {
    const secret = randomBytes(32);
    const made = ['', 'a:', 'b:'].map((place) => createSealingKey(secret, place));
    expect(new Set(made.map(({ tag }) => tag)).size).toBe(3);
    expect(
      new Set(made.map((key) => Buffer.from(key.derive('cache records')).toString('hex'))).size,
    ).toBe(3);
  });

  test('has a tag that distinguishes keys and is no part of what seals', () => {
    const secret = randomBytes(32);
    const key = createSealingKey(secret);
    expect(key.tag).toMatch(/^[0-9a-f]{16}$/);
    expect(key.tag).toBe(createSealingKey(secret).tag);
    expect(key.tag).not.toBe(createSealingKey(randomBytes(32)).tag);
    for (const each of [secret, key.derive('cache names'), key.derive('cache records')]) {
      expect(Buffer.from(each).toString('hex')).not.toContain(key.tag);
    }
    expect(JSON.stringify(key)).toBe(JSON.stringify({ tag: key.tag }));
  });
});

test('a text opens with any of the keys, for its purpose and its place, and only as it was written', () => {
  const [key, other] = [createSealingKey(randomBytes(32)), createSealingKey(randomBytes(32))];
  const sealed = sealText(key, 'tests', 'here', 'süß');
  expect(openText([other, key], 'tests', 'here', sealed)).toBe('süß');
  expect(openText([other], 'tests', 'here', sealed)).toBeUndefined();
  expect(openText([key], 'others', 'here', sealed)).toBeUndefined();
  expect(openText([key], 'tests', 'there', sealed)).toBeUndefined();
  for (const changed of [`${sealed}\n`, ` ${sealed}`, sealed.replaceAll('=', ''), '']) {
    if (changed !== sealed) expect(openText([key], 'tests', 'here', changed)).toBeUndefined();
  }
});
