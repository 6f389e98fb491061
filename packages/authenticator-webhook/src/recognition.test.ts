import { anyCharacter } from '@sallyport/scripts/any-character';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRecognizer, whyUnrecognized } from './recognition.ts';
import { settled, writtenOptions } from './testing/written-options.ts';

const recognizer = (recognizes: object) =>
  createRecognizer(settled(writtenOptions({ recognizes })).recognizes);
const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const jwt = (claims: unknown, signature = 'AAAA') =>
  `${part({ alg: 'RS256' })}.${part(claims)}.${signature}`;
const issuer = 'https://idp.example.com';

test.each<{ name: string; recognizes: object; token: string; expected: boolean }>([
  { name: 'a prefix', recognizes: { prefixes: ['a-', 'b-'] }, token: 'b-1', expected: true },
  { name: 'a prefix alone', recognizes: { prefixes: ['a-'] }, token: 'a-', expected: true },
  {
    name: 'a prefix in another case',
    recognizes: { prefixes: ['a-'] },
    token: 'A-1',
    expected: false,
  },
  { name: 'a prefix within', recognizes: { prefixes: ['a-'] }, token: 'xa-1', expected: false },
  { name: 'a pattern', recognizes: { pattern: '[0-9a-f]{4}' }, token: '00ff', expected: true },
  {
    name: 'a pattern within',
    recognizes: { pattern: '[0-9a-f]{4}' },
    token: '00ff0',
    expected: false,
  },
  { name: 'a pattern of parts', recognizes: { pattern: 'a|b' }, token: 'ab', expected: false },
  {
    name: 'a pattern or a prefix',
    recognizes: { prefixes: ['x'], pattern: 'a' },
    token: 'xyz',
    expected: true,
  },
  {
    name: 'an issuer',
    recognizes: { issuers: [issuer] },
    token: jwt({ iss: issuer }),
    expected: true,
  },
  {
    name: 'another issuer',
    recognizes: { issuers: [issuer] },
    token: jwt({ iss: `${issuer}/` }),
    expected: false,
  },
  { name: 'no issuer', recognizes: { issuers: [issuer] }, token: jwt({}), expected: false },
  {
    name: 'an issuer that is not a string',
    recognizes: { issuers: [issuer] },
    token: jwt({ iss: [issuer] }),
    expected: false,
  },
  { name: 'no claims', recognizes: { issuers: [issuer] }, token: jwt(null), expected: false },
  {
    name: 'claims that are no JSON',
    recognizes: { issuers: [issuer] },
    token: `${part({})}.AAAA.AAAA`,
    expected: false,
  },
  {
    name: 'two parts',
    recognizes: { issuers: [issuer] },
    token: `${part({})}.${part({ iss: issuer })}`,
    expected: false,
  },
  {
    name: 'no signature',
    recognizes: { issuers: [issuer] },
    token: `${part({})}.${part({ iss: issuer })}.`,
    expected: false,
  },
  {
    name: 'four parts',
    recognizes: { issuers: [issuer] },
    token: `${jwt({ iss: issuer })}.AAAA`,
    expected: false,
  },
  {
    name: 'a line end behind it',
    recognizes: { issuers: [issuer] },
    token: `${jwt({ iss: issuer })}\n`,
    expected: false,
  },
  {
    name: 'a text that UTF-8 cannot hold',
    recognizes: { prefixes: ['a-'] },
    token: 'a-\ud800',
    expected: false,
  },
])('a token is recognized by its shape: $name: $recognizes', ({ recognizes, token, expected }) => {
  expect(recognizer(recognizes)(token)).toBe(expected);
});

test('a JWT of another issuer is named with the nearest one, where the peer has issuers', () => {
  const why = (recognizes: object) =>
    whyUnrecognized(settled(writtenOptions({ recognizes })).recognizes, jwt({ iss: `${issuer}/` }));
  expect(why({ issuers: [issuer] })).toContain(`the nearest one there is ${issuer}`);
  expect(why({ prefixes: ['a-'] })).toBeUndefined();
});

test('a JWT has one spelling: a block of it stops all others', () => {
  const recognizes = recognizer({ issuers: [issuer] });
  const good = jwt({ iss: issuer }, 'AA');
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const spellings = [...letters].map((letter) => good.slice(0, -1) + letter).filter(recognizes);
  expect(spellings).toEqual(['A', 'Q', 'g', 'w'].map((letter) => good.slice(0, -1) + letter));
});

describe('any text', () => {
  const recognizes = recognizer({ prefixes: ['a-'], issuers: [issuer], pattern: 'b+' });

  test('is recognized or not, without a throw', () => {
    const texts = fc.oneof(
      fc.string({ unit: anyCharacter }),
      fc.string().map((text) => `a-${text}`),
      fc.json().map((json) => `${part({})}.${Buffer.from(json).toString('base64url')}.AAAA`),
    );
    fc.assert(
      fc.property(texts, (text) => {
        expect(recognizes(text)).toBe(
          text.isWellFormed() && (text.startsWith('a-') || /^b+$/.test(text)),
        );
      }),
    );
  });
});
