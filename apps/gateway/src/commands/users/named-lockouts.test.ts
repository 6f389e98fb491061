import { expect, test } from 'vitest';
import { isCodeSubject } from '../../login/factors/second-factor.ts';
import { lockoutJson, type NamedLockout } from './named-lockouts.ts';

const lockout = {
  user: 'corp:jane',
  authenticator: 'corp',
  username: 'jane',
  subject: 'uid=jane,dc=example,dc=com',
  refused: 3,
  isLockedOut: true,
  until: 0,
} as NamedLockout;
const common = {
  user: 'corp:jane',
  authenticator: 'corp',
  refused: 3,
  lockedOut: true,
  until: new Date(0),
};

test('wrong codes are distinguished from wrong passwords, without the name by which they are counted', () => {
  expect([isCodeSubject(lockout.subject), lockoutJson(lockout)]).toEqual([
    false,
    { ...common, subject: lockout.subject },
  ]);
  const ofCodes = { ...lockout, subject: '\u0000second factor of ["uid","7"]' };
  expect([isCodeSubject(ofCodes.subject), lockoutJson(ofCodes)]).toEqual([
    true,
    { ...common, secondFactor: true },
  ]);
});
