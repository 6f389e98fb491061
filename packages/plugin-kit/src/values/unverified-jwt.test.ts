import { describe, expect, test } from 'vitest';
import { readUnverifiedJwt, whyUnknownIssuer } from './unverified-jwt.ts';

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const token = (claims: object) => `${part({ alg: 'ES256' })}.${part(claims)}.AAAA`;

const idp = 'https://idp.example.com';
const known = ['https://else.example.com', idp];
const why = (issuer: string) => whyUnknownIssuer(token({ iss: issuer, sub: 'jane' }), known);

const fix = 'write it there as the token has it, or get a token of one that is there';

describe('a JWT of an unknown issuer', () => {
  test.each([
    `${idp}/`,
    'https://IDP.example.com',
    'http://idp.example.com',
    'idp.example.com',
    ` ${idp}`,
    `${idp}/realms/other`,
  ])('%j is named with the nearest one of the config', (issuer) => {
    expect(why(issuer)).toBe(
      `is a JWT of the issuer "${issuer}" (iss), which is not in the options; the nearest one there is ${idp}: ${fix}`,
    );
  });

  test('is named with the same one first, of several on one host', () => {
    const realms = [`${idp}/realms/a`, `${idp}/realms/b`];
    expect(whyUnknownIssuer(token({ iss: `${idp}/realms/b/` }), realms)).toMatch(
      /the nearest one there is .*\/realms\/b: /,
    );
    expect(whyUnknownIssuer(token({ iss: `${idp}/realms/c` }), realms)).toMatch(
      /the nearest one there is .*\/realms\/a: /,
    );
  });

  test('of no likeness is named alone', () => {
    expect(why('https://third.example.com')).toBe(
      `is a JWT of the issuer "https://third.example.com" (iss), which is not in the options: ${fix}`,
    );
    expect(whyUnknownIssuer(token({ iss: idp }), [])).toContain(`"${idp}"`);
  });

  test('is quoted escaped and cut, since anyone may have written it, and nothing else of the token is', () => {
    expect(why('x\n"; rm')).toContain(String.raw`"x\n\"; rm"`);
    const long = why('/'.repeat(100_000)) ?? '';
    expect(long).toContain(`"${'/'.repeat(200)}"...`);
    expect(long.length).toBeLessThan(400);
    expect(why('https://third.example.com')).not.toContain('jane');
  });
});

test('a JWT that is cut off, or has no issuer, is named as one', () => {
  const whole = token({ iss: idp });
  for (const broken of [
    whole.slice(0, 40),
    whole.slice(0, whole.lastIndexOf('.')),
    `${whole}A`,
    token({ sub: 'jane' }),
  ]) {
    expect(readUnverifiedJwt(broken)).toBeUndefined();
    expect(whyUnknownIssuer(broken, known)).toBe(
      'begins like a JWT, but is not a whole one with an issuer (iss) and a signature: was it cut off?',
    );
  }
});

test('a JWT without a signature is named as one', () => {
  const unsigned = `${part({ alg: 'none' })}.${part({ iss: idp })}.`;
  expect(readUnverifiedJwt(unsigned)).toBeUndefined();
  expect(whyUnknownIssuer(unsigned, known)).toMatch(/^is a JWT without a signature \(alg none\), /);
});

test('an encrypted JWT, and one of very many parts, is not one', () => {
  const whole = token({ iss: idp });
  for (const odd of [
    `${whole}.AAAA.AAAA`,
    whole + '.'.repeat(100_000),
    'eyJA'.repeat(25_000) + '.'.repeat(100_000),
    `${part({ alg: 'ES256' })}${'.'.repeat(100_000)}AAAA`,
  ])
    expect(readUnverifiedJwt(odd)).toBeUndefined();
  expect(whyUnknownIssuer(`${whole}.AAAA.AAAA`, known)).toMatch(/^is an encrypted JWT, /);
});

test.each(['alice:password', 'sp_AAAA', ''])('%j does not look like a JWT', (text) => {
  expect(whyUnknownIssuer(text, known)).toBeUndefined();
});
