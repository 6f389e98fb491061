import { anyCharacter } from '@sallyport/scripts/any-character';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { entry } from '../directory/testing/memory-directory.ts';
import { attributeValue, readTexts } from './entry-values.ts';

const attributeText = (attribute: string, value: Buffer) =>
  readTexts(entry('cn=x', { [attribute]: [value] }), attribute)[0] ?? '';
const hex = (digits: string) => Buffer.from(digits.replaceAll(' ', ''), 'hex');

describe('the text of a value', () => {
  test('reads UTF-8, with line breaks and a byte order mark', () => {
    expect(attributeText('cn', Buffer.from('Zoë 山😀\r\n\tx'))).toBe('Zoë 山😀\r\n\tx');
    expect(attributeText('cn', Buffer.from('\ufeffa'))).toBe('\ufeffa');
    expect(attributeText('cn', Buffer.alloc(0))).toBe('');
  });

  test.each([
    { digits: 'ff' },
    { digits: '61 c3' },
    { digits: 'c0 80' },
    { digits: 'ed a0 80' },
    { digits: '61 00' },
    { digits: '1b' },
    { digits: 'c2 85' },
  ])('says that $digits is not text, naming the attribute and not the value', ({ digits }) => {
    expect(() => attributeText('jpegPhoto', hex(digits))).toThrow(
      `a value of the attribute jpegPhoto is not text (${hex(digits).length} bytes)`,
    );
  });

  test.each(['objectGUID', 'OBJECTGUID', 'objectGUID;binary', 'mS-DS-ConsistencyGuid'])(
    'writes %s as Microsoft does',
    (attribute) => {
      // MS-DTYP section 2.3.4: Data1, Data2 and Data3 are little-endian.
      expect(attributeText(attribute, hex('04 03 02 01 06 05 08 07 09 0a 0b 0c 0d 0e 0f 10'))).toBe(
        '01020304-0506-0708-090a-0b0c0d0e0f10',
      );
      expect(attributeText(attribute, hex('ff ee dd cc bb aa 99 88 77 66 55 44 33 22 11 00'))).toBe(
        'ccddeeff-aabb-8899-7766-554433221100',
      );
      for (const length of [0, 15, 17, 36]) {
        expect(() => attributeText(attribute, Buffer.alloc(length, 'a'))).toThrow(
          `a value of the attribute ${attribute} is not a GUID of 16 bytes (${length} bytes)`,
        );
      }
    },
  );

  test.each([
    { digits: '01 01 000000000001 00000000', text: 'S-1-1-0' },
    { digits: '01 02 000000000005 20000000 20020000', text: 'S-1-5-32-544' },
    {
      digits: '01 05 000000000005 15000000 dcf4dc3b 833d2b46 828ba628 00020000',
      text: 'S-1-5-21-1004336348-1177238915-682003330-512',
    },
    { digits: '01 01 000000000005 ffffffff', text: 'S-1-5-4294967295' },
    { digits: '01 01 0000ffffffff 01000000', text: 'S-1-4294967295-1' },
    { digits: '01 01 000100000000 01000000', text: 'S-1-0x000100000000-1' },
    { digits: '01 01 abcdef012345 01000000', text: 'S-1-0xABCDEF012345-1' },
  ])('writes the SID $digits as $text', ({ digits, text }) => {
    expect(attributeText('objectSid', hex(digits))).toBe(text);
    expect(attributeText('sIDHistory', hex(digits))).toBe(text);
  });

  test('writes a SID with 15 sub-authorities, which is the most', () => {
    const sid = (count: number) =>
      Buffer.concat([Buffer.from([1, count, 0, 0, 0, 0, 0, 5]), Buffer.alloc(4 * count)]);
    expect(attributeText('objectSid', sid(15))).toBe(`S-1-5${'-0'.repeat(15)}`);
    expect(() => attributeText('objectSid', sid(16))).toThrow('is not a SID (72 bytes)');
    expect(() => attributeText('objectSid', sid(0))).toThrow('is not a SID (8 bytes)');
  });

  test.each([
    { name: 'nothing', digits: '' },
    { name: 'too short', digits: '01 01 00' },
    { name: 'another revision', digits: '02 01 000000000001 00000000' },
    { name: 'a byte missing', digits: '01 01 000000000001 000000' },
    { name: 'a byte too many', digits: '01 01 000000000001 00000000 00' },
    { name: 'its text form', digits: Buffer.from('S-1-5-32-544').toString('hex') },
  ])('refuses a SID of $name', ({ digits }) => {
    expect(() => attributeText('objectSid', hex(digits))).toThrow(
      /^a value of the attribute objectSid is not a SID/,
    );
  });

  test('different GUIDs and SIDs have different texts', () => {
    const guid = fc.uint8Array({ minLength: 16, maxLength: 16 });
    fc.assert(
      fc.property(guid, guid, (one, other) => {
        const same = Buffer.compare(one, other) === 0;
        expect(
          attributeText('objectGUID', Buffer.from(one)) ===
            attributeText('objectGUID', Buffer.from(other)),
        ).toBe(same);
      }),
    );
  });

  test('takes no attribute for binary that is called like a property of every object', () => {
    expect(attributeText('constructor', Buffer.from('x'))).toBe('x');
  });
});

describe('attributeValue', () => {
  test('gives back every value from its text', () => {
    const sid = fc
      .tuple(fc.integer({ min: 1, max: 15 }), fc.uint8Array({ minLength: 66, maxLength: 66 }))
      .map(([count, bytes]) =>
        Buffer.concat([Buffer.from([1, count]), bytes.subarray(0, 6 + 4 * count)]),
      );
    const values = fc.oneof(
      fc.tuple(
        fc.constant('objectGUID'),
        fc.uint8Array({ minLength: 16, maxLength: 16 }).map(Buffer.from),
      ),
      fc.tuple(fc.constant('objectSid'), sid),
      fc.tuple(
        fc.constant('entryUUID'),
        fc.uuid().map((text) => Buffer.from(text)),
      ),
      fc.tuple(
        fc.constant('uid'),
        fc.stringMatching(/^[a-zé*()\\]+$/).map((text) => Buffer.from(text)),
      ),
    );
    fc.assert(
      fc.property(values, ([attribute, value]) => {
        expect(attributeValue(attribute, attributeText(attribute, value))).toEqual(value);
      }),
    );
  });

  test('gives no value for a text that no value is written as', () => {
    const anything = fc.oneof(
      fc.string({ unit: anyCharacter }),
      fc.stringMatching(/^S(-[0-9ex.]{0,12}){0,18}$/),
    );
    fc.assert(
      fc.property(fc.constantFrom('objectGUID', 'objectSid'), anything, (attribute, text) => {
        const value = attributeValue(attribute, text);
        expect(value && attributeText(attribute, value)).toBe(value && text);
      }),
    );
    expect(attributeValue('objectGUID', '01020304-0506-0708-090A-0B0C0D0E0F10')).toBeUndefined();
    expect(attributeValue('objectGUID', '0102030405060708090a0b0c0d0e0f10')).toBeUndefined();
    expect(attributeValue('objectSid', 'S-1-5')).toBeUndefined();
    expect(attributeValue('uid', '')).toBeUndefined();
    expect(attributeValue('uid', 'a\ud800')).toBeUndefined();
  });
});
