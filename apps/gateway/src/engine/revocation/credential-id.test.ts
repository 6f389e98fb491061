import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readCredentialId, writeCredentialId } from './credential-id.ts';

describe('a credential ID', () => {
  test.each([
    ['SALLYPORT=ab12', { kind: 'token', name: 'ab12' }],
    ['JTI=a=b', { kind: 'jti', name: 'a=b' }],
    ['SID=s', { kind: 'sid', name: 's' }],
    ['X509SHA256=0011', { kind: 'credential', name: 'X509SHA256=0011' }],
    ['jti=a', { kind: 'credential', name: 'jti=a' }],
    ['JTI', { kind: 'credential', name: 'JTI' }],
    ['JTI=', { kind: 'credential', name: 'JTI=' }],
    ['=a', { kind: 'credential', name: '=a' }],
    ['', { kind: 'credential', name: '' }],
    ['__proto__=a', { kind: 'credential', name: '__proto__=a' }],
    ['toString=a', { kind: 'credential', name: 'toString=a' }],
  ])('%j is read as what a block of it names', (text, subject) => {
    expect(readCredentialId(text)).toEqual(subject);
  });

  test('that is very long is shortened as the ids of tokens are', () => {
    expect(readCredentialId(`JTI=${'a'.repeat(257)}`).name).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(readCredentialId(`X=${'a'.repeat(257)}`).name).toMatch(/^sha256:[0-9a-f]{64}$/);
  });

  test('is read as it was written', () => {
    const scheme = fc.constantFrom('SALLYPORT' as const, 'JTI' as const, 'SID' as const);
    const value = fc.string({ minLength: 1, maxLength: 256 });
    fc.assert(
      fc.property(scheme, value, (name, text) => {
        const kind = { SALLYPORT: 'token', JTI: 'jti', SID: 'sid' }[name];
        expect(readCredentialId(writeCredentialId(name, text))).toEqual({ kind, name: text });
      }),
    );
  });
});
