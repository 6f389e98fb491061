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
    { required: 'all', named: undefined, authenticator: 'corp', groups: [], is: true },
    { required: 'all', named: undefined, authenticator: 'other', groups: undefined, is: true },
    { required: 'all', named: undefined, authenticator: 'third', groups: [], is: false },
    { required: 'all', named: ['corp'], authenticator: 'other', groups: [], is: false },
    { required: 'all', named: ['corp'], authenticator: 'corp', groups: [], is: true },
    { required: 'none', named: undefined, authenticator: 'corp', groups: ['admins'], is: false },
    {
      required: { groups: ['admins', 'ops'] },
      named: undefined,
      authenticator: 'corp',
      groups: ['dev', 'ops'],
      is: true,
    },
    {
      required: { groups: ['admins', 'ops'] },
      named: undefined,
      authenticator: 'corp',
      groups: ['dev', 'admin'],
      is: false,
    },
    {
      required: { groups: ['admins'] },
      named: undefined,
      authenticator: 'corp',
      groups: [],
      is: false,
    },
    {
      required: { groups: ['admins'] },
      named: undefined,
      authenticator: 'corp',
      groups: undefined,
      is: false,
    },
    {
      required: { groups: ['admins'] },
      named: ['other'],
      authenticator: 'corp',
      groups: ['admins'],
      is: false,
    },
  ] as const)(
    '$required of $named: users of $authenticator in $groups: $is',
    ({ required, named, authenticator, groups, is }) => {
      const policy = policyOf(required, named);
      expect(policy.isRequired(authenticator, groups)).toBe(is);
      expect(policy.isMissing({ authenticator }, groups)).toBe(is);
      expect(policy.isMissing({ authenticator, amr: [] }, groups)).toBe(is);
      // Two words for one factor are not two factors.
      expect(policy.isMissing({ authenticator, amr: ['pwd', 'otp'] }, groups)).toBe(is);
      expect(policy.isMissing({ authenticator, amr: ['pwd', 'otp', 'mfa'] }, groups)).toBe(false);
      expect(policy.isMissing({ authenticator, provider }, groups)).toBe(false);
    },
  );

  test('is no one without the section', () => {
    const policy = createFactorPolicy({ authenticators: ['corp'] });
    expect([
      policy.isCovered('corp'),
      policy.isRequired('corp', ['admins']),
      policy.isMissing({ authenticator: 'corp' }, ['admins']),
    ]).toEqual([false, false, false]);
  });

  const [good, lacking] = ['good', 'lacks a second factor'] as const;
  const unknown = 'good, unless a second factor is required' as const;
  test.each([
    { required: 'all', ofAdmin: lacking, ofDev: lacking, ofUnknown: lacking },
    { required: 'none', ofAdmin: good, ofDev: good, ofUnknown: good },
    { required: { groups: ['admins'] }, ofAdmin: lacking, ofDev: good, ofUnknown: unknown },
  ] as const)(
    'with $required, a session of a password is $ofUnknown if groups are not known',
    ({ required, ofAdmin, ofDev, ofUnknown }) => {
      const { findState } = policyOf(required);
      const states = (session: Parameters<typeof findState>[0]) =>
        [['admins'], ['dev'], undefined].map((groups) => findState(session, groups));
      expect(states({ authenticator: 'corp' })).toEqual([ofAdmin, ofDev, ofUnknown]);
      for (const session of [
        { authenticator: 'corp', amr: ['pwd', 'otp', 'mfa'] },
        { authenticator: 'corp', provider },
        { authenticator: 'third' },
      ])
        expect(states(session)).toEqual([good, good, good]);
    },
  );

  test('can be a user of the authenticators of the section, or of all that check passwords', () => {
    const all = ['corp', 'other', 'third'];
    expect(all.map(policyOf('none').isCovered)).toEqual([true, true, false]);
    expect(all.map(policyOf('none', ['other']).isCovered)).toEqual([false, true, false]);
  });
});
