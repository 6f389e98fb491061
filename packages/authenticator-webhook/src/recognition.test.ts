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

test.each<[string, object, string, boolean]>([
  ['a prefix', { prefixes: ['a-', 'b-'] }, 'b-1', true],
  ['a prefix alone', { prefixes: ['a-'] }, 'a-', true],
  ['a prefix in another case', { prefixes: ['a-'] }, 'A-1', false],
  ['a prefix within', { prefixes: ['a-'] }, 'xa-1', false],
  ['a pattern', { pattern: '[0-9a-f]{4}' }, '00ff', true],
  ['a pattern within', { pattern: '[0-9a-f]{4}' }, '00ff0', false],
  ['a pattern of parts', { pattern: 'a|b' }, 'ab', false],
  ['a pattern or a prefix', { prefixes: ['x'], pattern: 'a' }, 'xyz', true],
  ['an issuer', { issuers: [issuer] }, jwt({ iss: issuer }), true],
  ['another issuer', { issuers: [issuer] }, jwt({ iss: `${issuer}/` }), false],
  ['no issuer', { issuers: [issuer] }, jwt({}), false],
  ['an issuer that is not a string', { issuers: [issuer] }, jwt({ iss: [issuer] }), false],
  ['no claims', { issuers: [issuer] }, jwt(null), false],
  ['claims that are no JSON', { issuers: [issuer] }, `${part({})}.AAAA.AAAA`, false],
  ['two parts', { issuers: [issuer] }, `${part({})}.${part({ iss: issuer })}`, false],
  ['no signature', { issuers: [issuer] }, `${part({})}.${part({ iss: issuer })}.`, false],
  ['four parts', { issuers: [issuer] }, `${jwt({ iss: issuer })}.AAAA`, false],
  ['a line end behind it', { issuers: [issuer] }, `${jwt({ iss: issuer })}\n`, false],
  ['a text that UTF-8 cannot hold', { prefixes: ['a-'] }, 'a-\ud800', false],
])('%s: %j', (_name, recognizes, token, expected) => {
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
