import { toLdif } from '@sallyport/test-servers/ldif';
import { accountControl, adUser, newAdPassword, type Samba, startSamba } from '@sallyport/test-servers/samba';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { barred, type RevalidationTarget, revalidationCases } from './testing/revalidation-cases.ts';

const password = newAdPassword();
let samba: Samba;
beforeAll(async () => {
  samba = await startSamba();
  // Only an organizational unit may have others below it.
  await samba.add(toLdif([{ dn: `OU=staff,${samba.suffix}`, attributes: { objectClass: 'organizationalUnit' } }]));
}, 120_000);
afterAll(() => samba?.[Symbol.asyncDispose]());

function target(): RevalidationTarget {
  const { ldapsUrl, caFile, suffix, administrator } = samba;
  const people = `OU=staff,${suffix}`;
  return {
    server: samba,
    password,
    options: {
      urls: [ldapsUrl],
      caFile,
      serverTimeout: '10s',
      bind: administrator,
      user: {
        base: people,
        filter: `(&(objectCategory=person)(!(description=${barred})))`,
        loginAttributes: ['userPrincipalName', 'sAMAccountName'],
        attributes: { username: 'sAMAccountName', uid: 'objectGUID' },
      },
      groups: { base: people, filter: '(member={dn})' },
    },
    people,
    groups: people,
    nameAttribute: 'sAMAccountName',
    groupClass: 'group',
    person(name, dn) {
      const [rdn = ''] = dn.split(',');
      return { ...adUser({ rdn, accountName: name, password }), dn };
    },
    newPassword: () => ({ unicodePwd: Buffer.from(`"${newAdPassword()}"`, 'utf16le') }),
    lockable: {},
    refusals: {
      'disabled account': ['disabled', { userAccountControl: String(accountControl.disabled) }],
      'expired account': ['expired', { accountExpires: '1' }],
      'password to be changed': [
        'password-expired',
        { userAccountControl: String(accountControl.normal), pwdLastSet: '0' },
      ],
      'password that is too old': ['password-expired', { userAccountControl: String(accountControl.normal) }],
    },
  };
}

describe('revalidation in Active Directory', () => {
  for (const [name, run] of Object.entries(revalidationCases)) test(name, () => run(target()));
});
