import { describe, expect, test } from 'vitest';
import type { SecondFactorConfig } from '../../config/types.ts';
import { createFactorPolicy } from './policy.ts';

const policyOf = (required: SecondFactorConfig['required'], named?: readonly string[]) =>
  createFactorPolicy({
    authenticators: ['corp', 'other'],
    secondFactor: { required, ...(named && { authenticators: named }) },
  });
const provider = { name: 'okta', issuer: 'https://idp.example.com', clientId: 'sallyport' };

describe('who must have a second factor', () => {
  test.each([
    ['all', undefined, 'corp', [], true],
    ['all', undefined, 'other', undefined, true],
    ['all', undefined, 'third', [], false],
    ['all', ['corp'], 'other', [], false],
    ['all', ['corp'], 'corp', [], true],
    ['none', undefined, 'corp', ['admins'], false],
    [{ groups: ['admins', 'ops'] }, undefined, 'corp', ['dev', 'ops'], true],
    [{ groups: ['admins', 'ops'] }, undefined, 'corp', ['dev', 'admin'], false],
    [{ groups: ['admins'] }, undefined, 'corp', [], false],
    [{ groups: ['admins'] }, undefined, 'corp', undefined, false],
    [{ groups: ['admins'] }, ['other'], 'corp', ['admins'], false],
  ] as const)('%j of %j: users of %s in %j: %s', (required, named, authenticator, groups, is) => {
    const policy = policyOf(required, named);
    expect(policy.isRequired(authenticator, groups)).toBe(is);
    expect(policy.isMissing({ authenticator }, groups)).toBe(is);
    expect(policy.isMissing({ authenticator, amr: [] }, groups)).toBe(is);
    // Two words for one factor are not two factors.
    expect(policy.isMissing({ authenticator, amr: ['pwd', 'otp'] }, groups)).toBe(is);
    expect(policy.isMissing({ authenticator, amr: ['pwd', 'otp', 'mfa'] }, groups)).toBe(false);
    expect(policy.isMissing({ authenticator, provider }, groups)).toBe(false);
  });

  test('is no one without the section', () => {
    const policy = createFactorPolicy({ authenticators: ['corp'] });
    expect([
      policy.isCovered('corp'),
      policy.isRequired('corp', ['admins']),
      policy.isMissing({ authenticator: 'corp' }, ['admins']),
    ]).toEqual([false, false, false]);
  });

  test('can be a user of the authenticators of the section, or of all that check passwords', () => {
    const all = ['corp', 'other', 'third'];
    expect(all.map(policyOf('none').isCovered)).toEqual([true, true, false]);
    expect(all.map(policyOf('none', ['other']).isCovered)).toEqual([false, true, false]);
  });
});
