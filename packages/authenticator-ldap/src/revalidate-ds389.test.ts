import { randomUUID } from 'node:crypto';
import { type Ds389, startDs389 } from '@sallyport/test-servers/ds389';
import { toReplacements } from '@sallyport/test-servers/ldif';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { barred, type RevalidationTarget, revalidationCases } from './testing/revalidation-cases.ts';

const password = randomUUID();
let server: Ds389;
beforeAll(async () => {
  server = await startDs389();
  // Without it the server does not record when a password was changed.
  await server.modify(toReplacements([{ dn: 'cn=config', attributes: { passwordTrackUpdateTime: 'on' } }]));
});
afterAll(() => server?.[Symbol.asyncDispose]());

function target(): RevalidationTarget {
  const { ldapsUrl, caFile, service, suffix } = server;
  const [people, groups] = [`ou=people,${suffix}`, `ou=groups,${suffix}`];
  return {
    server,
    password,
    options: {
      urls: [ldapsUrl],
      caFile,
      serverTimeout: '10s',
      bind: service,
      user: {
        base: people,
        filter: `(&(objectClass=person)(uid={username})(!(description=${barred})))`,
        attributes: { uid: 'nsUniqueId' },
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
        cn: name,
        sn: name,
        userPassword: password,
      },
    }),
    newPassword: () => ({ userPassword: randomUUID() }),
    lockable: {},
    refusals: {
      'inactive account': ['disabled', { nsAccountLock: 'true' }],
      'locked for ever': ['locked', { accountUnlockTime: '19700101000000Z' }],
      'locked for a time': ['locked', { accountUnlockTime: '20370101000000Z' }],
      'expired password': ['password-expired', { passwordExpirationTime: '20200101000000Z' }],
      'shadow account that has expired': ['expired', { shadowExpire: '1' }],
    },
  };
}

describe('revalidation in 389-DS', () => {
  for (const [name, run] of Object.entries(revalidationCases)) test(name, () => run(target()));
});
