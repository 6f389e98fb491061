import { createCipheriv, createHmac, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { open, seal } from './seal.ts';

const bytes = fc.uint8Array({ maxLength: 300 });
const keys = fc.uint8Array({ minLength: 32, maxLength: 32 });
const names = fc.string({ unit: 'binary', maxLength: 60 });

/** One byte of format, twelve of nonce, sixteen of tag. */
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
    // Within the nonce, after it, within the text, before the tag.
    for (const cut of [7, 13, 15, one.length - 16]) {
      expect(open(key, 'here', Buffer.concat([one.subarray(0, cut), other.subarray(cut)]))).toBeUndefined();
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

test('each place has a key of its own, and the name and the format are bound besides', () => {
  const [key, nonce, plain] = [randomBytes(32), randomBytes(12), Buffer.from('jane')];
  const ownKey = createHmac('sha256', key).update('here').digest();
  const make = (format: number, withKey: Buffer, bound: string) => {
    const cipher = createCipheriv('aes-256-gcm', withKey, nonce).setAAD(Buffer.from(bound));
    return Buffer.concat([Buffer.of(format), nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  };
  expect(open(key, 'here', make(1, ownKey, '\u0001here'))).toEqual(plain);
  // Each is right except for one thing.
  expect(open(key, 'here', make(1, key, '\u0001here'))).toBeUndefined();
  expect(open(key, 'here', make(1, ownKey, '\u0001there'))).toBeUndefined();
  expect(open(key, 'here', make(1, ownKey, 'here'))).toBeUndefined();
  expect(open(key, 'here', make(0, ownKey, '\u0000here'))).toBeUndefined();
  expect(open(key, 'here', make(2, ownKey, '\u0002here'))).toBeUndefined();
});
