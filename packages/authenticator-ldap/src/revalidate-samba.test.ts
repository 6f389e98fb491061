import { randomUUID } from 'node:crypto';
import { toLdif, toReplacements } from '@sallyport/test-servers/ldif';
import { accountControl, adUser, newAdPassword, type Samba, startSamba } from '@sallyport/test-servers/samba';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import plugin from './index.ts';
import { pluginGateway } from './testing/plugin-gateway.ts';
import { barred, type RevalidationTarget, revalidationCases } from './testing/revalidation-cases.ts';

const password = newAdPassword();
let samba: Samba;
beforeAll(async () => {
  samba = await startSamba();
  // Only an organizational unit may have others below it.
  await samba.add(toLdif([{ dn: `OU=staff,${samba.suffix}`, attributes: { objectClass: 'organizationalUnit' } }]));
});
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

  test('a user whose name is no name of a login is found by it', async () => {
    const { options, people, person } = target();
    const name = `u-${randomUUID().slice(0, 13)}`;
    await samba.add(toLdif([person(name, `CN=${name},${people}`)]));
    const user = { ...(options.user as object), loginAttributes: ['userPrincipalName'] };
    await using made = await pluginGateway(plugin, { ...options, user });
    expect(await made.logIn(name, password)).toEqual({ kind: 'no-opinion' });
    const decision = await made.logIn(`${name}@${samba.realm}`, password);
    if (decision.kind !== 'authenticated') throw new Error('the login was refused');
    expect(await made.revalidate(decision.user)).toEqual(decision);
    expect(await made.lookUp(name)).toEqual(decision.user);
    expect(await made.lookUp(`${name}@${samba.realm}`)).toEqual(decision.user);
  });

  test('a password that never expires need not be changed at a login, but pwdLastSet of 0 ends a session', async () => {
    const { options, people, person } = target();
    const name = `u-${randomUUID().slice(0, 13)}`;
    const { dn, attributes } = person(name, `CN=${name},${people}`);
    await samba.add(toLdif([{ dn, attributes: { ...attributes, pwdLastSet: '0' } }]));
    await using made = await pluginGateway(plugin, options);
    const decision = await made.logIn(name, password);
    if (decision.kind !== 'authenticated') throw new Error('the login was refused');
    const refused = { kind: 'rejected', reason: 'password-expired', subject: name };
    expect(await made.revalidate(decision.user)).toEqual(refused);
    await samba.modify(toReplacements([{ dn, attributes: { pwdLastSet: '-1' } }]));
    expect(await made.revalidate(decision.user, new Date(Date.now() + 60_000))).toEqual(decision);
  });
});
