import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  firstRdn,
  isAttributeDescription,
  isBelow,
  isObjectIdentifier,
  parseDn,
} from './distinguished-name.ts';

/** Writes levels as text: `attribute:value+attribute:value`. */
const levels = (dn: string) =>
  parseDn(dn)?.map((rdn) => rdn.map(({ attribute, value }) => `${attribute}:${value}`).join('+'));

describe('a DN', () => {
  test.each<[string, string[]]>([
    ['', []],
    ['  ', []],
    ['uid=alice', ['uid:alice']],
    ['UID=jsmith,DC=example,DC=net', ['UID:jsmith', 'DC:example', 'DC:net']],
    ['OU=Sales+CN=J.  Smith,DC=net', ['OU:Sales+CN:J.  Smith', 'DC:net']],
    ['1.3.6.1.4.1.1466.0=#04024869', ['1.3.6.1.4.1.1466.0:Hi']],
    ['CN=Lu\\C4\\8Di\\C4\\87', ['CN:Lučić']],
    ['cn=a=b', ['cn:a=b']],
    ['cn=,dc=x', ['cn:', 'dc:x']],
    // Active Directory spells DNs so.
    ['CN=R\\+D,OU=x', ['CN:R+D', 'OU:x']],
    ['CN=\\ lead,OU=x', ['CN: lead', 'OU:x']],
    ['CN=\\#5\\=\\;\\<\\>', ['CN:#5=;<>']],
    ['CN=Back\\\\slash', ['CN:Back\\slash']],
    // ldapjs made `alice` of it.
    ['cn=al\\5C69ce', ['cn:al\\69ce']],
    ['cn=\\20lead trail\\20', ['cn: lead trail ']],
    ['cn=two ends\\\\  ,dc=x', ['cn:two ends\\', 'dc:x']],
    // LDAPv2 spells DNs so (RFC 2253 section 4).
    [' cn = a b ; dc = x ', ['cn:a b', 'dc:x']],
    ['OID.2.5.4.3=a , oid.2.5.4.4=b', ['2.5.4.3:a', '2.5.4.4:b']],
    ['cn="a,b;c \\"d\\"" , dc=x', ['cn:a,b;c "d"', 'dc:x']],
    ['cn=" a "+sn=#0c02c3a9 ,dc=x', ['cn: a +sn:é', 'dc:x']],
  ])('%j is read without loss', (dn, expected) => {
    expect(levels(dn)).toEqual(expected);
  });

  test('keeps bytes that are not UTF-8', () => {
    expect(firstRdn('cn=a\\FF\\00b')).toEqual([
      { attribute: 'cn', value: Buffer.from([0x61, 0xff, 0, 0x62]) },
    ]);
  });

  test.each([
    'alice',
    '=x',
    'cn',
    'cn=a,',
    ',cn=a',
    'cn=a,,dc=x',
    'cn=a+',
    'cn=a+,dc=x',
    'c n=a',
    'cn;lang-en=x',
    'cn=a"b',
    'cn="a"b',
    'cn="a',
    'cn=a<b',
    'cn=a>b',
    'cn=\0',
    'cn=a\\',
    'cn=a\\z',
    'cn=a\\2',
    'cn=#',
    'cn=#0',
    'cn=#04',
    'cn=#0403aa',
    'cn=#0201ff',
    'cn=#0480',
    'cn=#zz',
    '<SID=S-1-5-32>',
    'not a dn',
    'cn=\ud800',
    `cn=${'a'.repeat(65_536)}`,
  ])('%j is none', (dn) => {
    expect(parseDn(dn)).toBeUndefined();
    expect(firstRdn(dn)).toBeUndefined();
    expect(isBelow(dn, '')).toBe(false);
    expect(isBelow('cn=a', dn)).toBe(false);
  });

  test('has BER lengths of several bytes behind #', () => {
    const value = Buffer.alloc(300, 'x');
    expect(firstRdn(`cn=#0482012c${value.toString('hex')}`)?.[0]?.value).toEqual(value);
    expect(firstRdn(`cn=#0482012d${value.toString('hex')}`)).toBeUndefined();
  });

  test.each(['a', ' ', '\\\\', '\\2a', '"'])(
    'is read at any length up to the bound, when it is made of %j',
    (filler) => {
      const inside = filler.repeat(60_000 / filler.length);
      const dn = filler === '"' ? `cn="${' '.repeat(60_000)}"` : `cn=x${inside}x`;
      expect(firstRdn(dn)?.[0]?.value.length).toBeGreaterThan(19_999);
    },
  );

  test('gives back any bytes, however they are spelled', () => {
    const byte = fc.tuple(
      fc.oneof(fc.constantFrom(...Buffer.from(' #"+,;<>=\\{a')), fc.nat(255)),
      fc.boolean(),
    );
    fc.assert(
      fc.property(fc.array(fc.array(byte), { minLength: 1, maxLength: 4 }), (spelled) => {
        const values = spelled.map((value) => Buffer.from(value.map(([code]) => code)));
        const dn = spelled.map((value) => `cn=${value.map(spellByte).join('')}`).join(',');
        expect(parseDn(dn)).toEqual(values.map((value) => [{ attribute: 'cn', value }]));
      }),
    );
  });
});

/** Spells a character as two digits, behind a backslash, or as itself. */
function spellByte([code, short]: [number, boolean]): string {
  const character = String.fromCharCode(code);
  if (short && /[ #"+,;<>=\\]/.test(character)) return `\\${character}`;
  return short && /[a-z{]/.test(character) ? character : `\\${code.toString(16).padStart(2, '0')}`;
}

describe('isBelow', () => {
  test.each([
    ['uid=a,ou=people,dc=example,dc=com', 'dc=example,dc=com'],
    ['uid=a,ou=people,dc=example,dc=com', 'OU=People , DC=EXAMPLE;dc=com'],
    ['dc=example,dc=com', 'dc=example,dc=com'],
    ['uid=a', ''],
    ['cn=x,ou=My  Team ,dc=x', 'ou=my team,dc=x'],
    ['cn=x,ou=M\\C3\\BCller,dc=x', 'ou=müller,dc=x'],
    ['cn=x,ou=STRAßE ÆÐŠ', 'ou=straße æðš'],
    ['cn=x,ou=R\\2BD,dc=x', 'ou=r\\+d,dc=x'],
    ['cn=x,ou=a+l=b,dc=x', 'L=B+OU=A,dc=x'],
    ['cn=x,ou=\\FF', 'ou=\\ff'],
  ])('%j is below %j', (dn, base) => {
    expect(isBelow(dn, base)).toBe(true);
  });

  test.each([
    ['dc=com', 'dc=example,dc=com'],
    ['uid=a,ou=people,dc=example,dc=org', 'dc=example,dc=com'],
    ['cn=x\\,dc=example\\,dc=com', 'dc=example,dc=com'],
    ['cn=xdc=example,dc=com', 'dc=example,dc=com'],
    ['cn="x,dc=example,dc=com"', 'dc=com'],
    ['cn=x,ou=a,dc=x', 'ou=a+l=b,dc=x'],
    ['cn=x,ou=a+l=b,dc=x', 'ou=a,dc=x'],
    ['cn=x,ou=ab,dc=x', 'ou=a b,dc=x'],
    ['cn=x,ou=\\FF', 'ou=\\FE'],
    ['cn=x,ou=\\FF', 'ou=\\EF\\BF\\BD'],
    ['cn=x,2.5.4.11=a', 'ou=a'],
    // For 389-DS these are other entries, which are not below the base.
    ['cn=x,ou=Mu\u0308ller', 'ou=M\u00fcller'],
    ['cn=x,ou=\uff47roups', 'ou=groups'],
    ['cn=x,ou=\u212a8s', 'ou=k8s'],
    ['cn=x,ou=\ufb03', 'ou=ffi'],
    ['cn=x,ou=group\u017f', 'ou=groups'],
    ['cn=x,ou=\u0130', 'ou=i\u0307'],
    ['cn=x,ou=groups\u00a0', 'ou=groups'],
    ['cn=x,ou=groups\\0A', 'ou=groups'],
  ])('%j is not below %j', (dn, base) => {
    expect(isBelow(dn, base)).toBe(false);
  });
});

test.each([
  ...[
    'cn',
    'sAMAccountName',
    'mS-DS-ConsistencyGuid',
    '2.5.4.3',
    '0.9.2342.19200300.100.1.1',
    'cn;lang-en',
  ],
  ...['userCertificate;binary;x-1'],
])('%s names an attribute', (name) => {
  expect(isAttributeDescription(name)).toBe(true);
});

test.each([
  '',
  ' ',
  'cn ',
  'uid)(x',
  'a_b',
  '1cn',
  '-cn',
  'é',
  '2.5.',
  '2',
  '2.05',
  '01.2',
  'cn;',
  'cn;;x',
  'cn;a b',
  '*',
  '+',
  '1.1',
  'cn\n',
  'a'.repeat(256),
])('%j names no attribute', (name) => {
  expect(isAttributeDescription(name)).toBe(false);
});

test('an object identifier has no options, and may be 1.1', () => {
  expect(['caseExactMatch', '1.2.840.113556.1.4.1941', '1.1'].every(isObjectIdentifier)).toBe(true);
  expect(['cn;binary', '', 'a b', '1..2', 'a'.repeat(256)].some(isObjectIdentifier)).toBe(false);
});
