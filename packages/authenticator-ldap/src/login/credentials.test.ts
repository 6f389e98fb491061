import { anyCharacter } from '@sallyport/scripts/any-character';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { claimedName, readCredentials, whyNoCredentials, writeCredentials } from './credentials.ts';

const base64 = (text: string | Buffer) => Buffer.from(text as string).toString('base64');
const spellings = (text: string | Buffer): string[] => {
  const padded = base64(text);
  const url = padded.replaceAll('+', '-').replaceAll('/', '_');
  return [padded, padded.replace(/=+$/, ''), url, url.replace(/=+$/, '')];
};

describe('readCredentials', () => {
  test.each([
    ['alice:secret', 'alice', 'secret'],
    ['alice:se:cr:et:', 'alice', 'se:cr:et:'],
    ['a::', 'a', ':'],
    ['Ünï@example.com: pass wörd\t😀', 'Ünï@example.com', ' pass wörd\t😀'],
    ['\ufeffa:b', '\ufeffa', 'b'],
    ['a~?:b>?~~', 'a~?', 'b>?~~'],
    [`${'é'.repeat(512)}:b`, 'é'.repeat(512), 'b'],
    [`a:${'é'.repeat(32_768)}`, 'a', 'é'.repeat(32_768)],
  ])('reads %j in both alphabets, with and without padding', (text, username, password) => {
    for (const spelling of spellings(text)) {
      expect(readCredentials(spelling, '')).toEqual({ username, password });
      expect(readCredentials(`ldap:${spelling}`, 'ldap:')).toEqual({ username, password });
    }
  });

  test.each([
    { name: 'no colon', text: 'alice' },
    { name: 'an empty name', text: ':secret' },
    { name: 'an empty password', text: 'alice:' },
    { name: 'nothing', text: '' },
    { name: 'a colon alone', text: ':' },
    { name: 'NUL in the name', text: 'al\0ice:secret' },
    { name: 'NUL in the password', text: 'alice:sec\0ret' },
    { name: 'a line break in the name', text: 'al\nice:secret' },
    { name: 'a C1 control in the name', text: 'al\u0085ice:secret' },
    { name: 'DEL in the name', text: 'alice\x7f:secret' },
    { name: 'U+FFFD in the name', text: 'al\ufffdce:secret' },
    { name: 'U+FFFD in the password', text: 'alice:secr\ufffdt' },
    { name: 'a name over 1024 bytes', text: `${'é'.repeat(512)}a:secret` },
    { name: 'a password over 64 KiB', text: `a:b${'é'.repeat(32_768)}` },
    { name: 'a byte that is no UTF-8', text: Buffer.from('616cff3a62', 'hex') },
    { name: 'an overlong colon', text: Buffer.from('61c0ba62', 'hex') },
    { name: 'a surrogate in UTF-8', text: Buffer.from('61eda0803a62', 'hex') },
  ])('knows nothing of $name', ({ text }) => {
    for (const spelling of spellings(text)) expect(readCredentials(spelling, '')).toBeUndefined();
  });

  test('wants the prefix exactly, and nothing before it', () => {
    const token = base64('alice:secret');
    expect(readCredentials(token, 'ldap:')).toBeUndefined();
    expect(readCredentials(`LDAP:${token}`, 'ldap:')).toBeUndefined();
    expect(readCredentials(` ldap:${token}`, 'ldap:')).toBeUndefined();
    expect(readCredentials(`ldap:${token}`, '')).toBeUndefined();
    expect(readCredentials('ldap:', 'ldap:')).toBeUndefined();
  });

  test.each([
    { name: 'a bit that counts for nothing', token: `${base64('alice:secret1').slice(0, -3)}B==` },
    { name: 'mixed alphabets', token: '+-' },
    { name: 'too much padding', token: `${base64('alice:secret')}=` },
    { name: 'half of the padding', token: base64('alice:secret1').slice(0, -1) },
    { name: 'padding in the middle', token: `${base64('a:bc')}${base64('defg')}` },
    { name: 'a space', token: `${base64('alice:secret')} ` },
    { name: 'a line break', token: `${base64('alice:secret')}\n` },
    { name: 'a space inside', token: `YWxp Y2U6c2VjcmV0` },
    { name: 'a character of no alphabet', token: `${base64('alice:secret')}!` },
    { name: 'one character too many', token: `${base64('alice:secret')}A` },
    { name: 'a JWT', token: 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.' },
  ])('refuses $name', ({ token }) => {
    const mixed = token === '+-' ? base64('a:>>>???').replace('+', '-') : token;
    expect(readCredentials(mixed, '')).toBeUndefined();
  });

  test('gives back any name and password', () => {
    const name = fc
      .string({ minLength: 1, maxLength: 64, unit: 'grapheme' })
      .filter((text) => !/[:\p{Cc}\ufffd]/u.test(text));
    const password = fc
      .string({ minLength: 1, unit: anyCharacter })
      .filter((text) => text.isWellFormed() && !/[\0\ufffd]/.test(text));
    fc.assert(
      fc.property(name, password, fc.nat(3), (username, secret, spelling) => {
        const token = spellings(`${username}:${secret}`)[spelling] ?? '';
        expect(readCredentials(token, '')).toEqual({ username, password: secret });
      }),
    );
  });

  test('what it reads has one spelling in each alphabet, padded or not, and it never throws', () => {
    const letter = fc.constantFrom(...'YWxpY2U6c2VjcmV0QUJD+/-_= !');
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.string({ unit: letter }), fc.base64String()),
        (token) => {
          const credentials = readCredentials(token, '');
          if (credentials === undefined) return;
          const text = `${credentials.username}:${credentials.password}`;
          expect(spellings(text)).toContain(token);
        },
      ),
    );
  });
});

test.each(['alice', 'ALICE', ' alice ', 'Alice\u00a0', 'ａｌｉｃｅ'])(
  'the name that %j claims is that of alice',
  (username) => {
    expect(claimedName({ username, password: 'x' })).toBe('alice');
  },
);

test('no credentials claim no name, and nor do spaces', () => {
  expect(claimedName(undefined)).toBeUndefined();
  expect(claimedName({ username: ' ', password: 'x' })).toBeUndefined();
});

describe('writeCredentials', () => {
  test('writes a token that is read as the same name and password', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: anyCharacter }),
        fc.string({ unit: anyCharacter }),
        (username, password) => {
          const token = writeCredentials({ username, password }, 'ldap:');
          if (token !== undefined)
            expect(readCredentials(token, 'ldap:')).toEqual({ username, password });
        },
      ),
    );
    expect(writeCredentials({ username: 'jané', password: 'a:b' }, '')).toBe(
      Buffer.from('jané:a:b').toString('base64'),
    );
  });

  test.each([
    ['a:b', 'secret'],
    ['', 'secret'],
    [' ', 'secret'],
    ['jane', ''],
    ['jane\n', 'secret'],
    ['jane', 'a\0'],
    ['jane', '\ud800'],
    ['x'.repeat(1_025), 'secret'],
    ['jane', 'x'.repeat(65_537)],
  ])('there is none of %j and %j', (username, password) => {
    expect(writeCredentials({ username, password }, '')).toBeUndefined();
  });
});

test('a name and a password without base64 are known by their colon, behind the prefix', () => {
  const why = (token: string, prefix = '') => whyNoCredentials(token, prefix);
  expect(why('alice:secret')).toMatch(/^has a colon, which is not a base64 character: /);
  expect(why('ldap:alice:secret', 'ldap:')).toBe(why('alice:secret'));
  expect([
    why('alice'),
    why('eyJ.e30.c2ln'),
    why('ldap:YTpi!', 'ldap:'),
    why('corporate:YTpi', 'ldap:'),
  ]).toEqual(Array.from({ length: 4 }));
});
