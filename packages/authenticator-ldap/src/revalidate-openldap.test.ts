import { randomUUID } from 'node:crypto';
import { type Slapd, startSlapd } from '@sallyport/test-servers/slapd';
import { policies } from '@sallyport/test-servers/slapd-configuration';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { barred, type RevalidationTarget, revalidationCases } from './testing/revalidation-cases.ts';

const password = randomUUID();
const long = { ago: '20200101000000Z', hence: '29990101000000Z' };

let slapd: Slapd;
beforeAll(async () => {
  slapd = await startSlapd();
});
afterAll(() => slapd?.[Symbol.asyncDispose]());

function target(): RevalidationTarget {
  const { ldapsUrl, caFile, service, suffix } = slapd;
  const [people, groups] = [`ou=people,${suffix}`, `ou=groups,${suffix}`];
  return {
    server: slapd,
    password,
    options: {
      urls: [ldapsUrl],
      caFile,
      serverTimeout: '10s',
      bind: service,
      user: {
        base: people,
        filter: `(&(objectClass=inetOrgPerson)(|(uid={username})(mail={username}@example.com))(!(description=${barred})))`,
        attributes: { uid: 'entryUUID' },
      },
      groups: { base: groups, filter: '(member={dn})' },
    },
    people,
    groups,
    nameAttribute: 'uid',
    groupClass: 'groupOfNames',
    person: (name, dn) => ({
      dn,
      attributes: {
        objectClass: ['inetOrgPerson', 'shadowAccount'],
        uid: name,
        sn: name,
        userPassword: password,
        pwdPolicySubentry: policies.warning,
      },
    }),
    newPassword: () => ({ userPassword: randomUUID() }),
    lockable: { pwdPolicySubentry: policies.lockout },
    refusals: {
      'locked for ever': ['locked', { pwdAccountLockedTime: '000001010000Z' }],
      'locked at a time': ['locked', { pwdAccountLockedTime: long.ago }],
      'password to be changed': ['password-expired', { pwdReset: 'TRUE' }],
      'shadow account that has expired': ['expired', { shadowExpire: '1' }],
      'shadow password of later': ['password-changed', { shadowLastChange: '99999' }],
      'account to begin': ['disabled', { pwdStartTime: long.hence }],
      'account that has ended': ['expired', { pwdEndTime: long.ago }],
    },
  };
}

describe('revalidation in OpenLDAP', () => {
  for (const [name, run] of Object.entries(revalidationCases)) test(name, () => run(target()));
});
