import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runLdapTool, tryBind } from './ldap-tools.ts';
import { toLdif } from './ldif.ts';
import { accountControl, adUser, newAdPassword, type Samba, startSamba } from './samba.ts';

const password = newAdPassword();
let samba: Samba;
beforeAll(async () => {
  samba = await startSamba();
});
afterAll(() => samba?.[Symbol.asyncDispose]());

function bind(dn: string, typed = password): Promise<{ code: number; text: string }> {
  return tryBind({ url: samba.ldapsUrl, caFile: samba.caFile, dn, password: typed });
}

describe('the answer of a domain to a login has', () => {
  /** A century ago, as a Windows timestamp. */
  const longAgo = '1';
  const noHour = Buffer.alloc(21);

  test.each([
    ['52e', 'a wrong password', {}, 'wrong'],
    ['530', 'no hour of the week', { more: { logonHours: noHour } }, password],
    ['532', 'a password that is too old', { control: accountControl.normal }, password],
    ['533', 'a disabled account', { control: accountControl.disabled }, password],
    ['701', 'an expired account', { more: { accountExpires: longAgo } }, password],
    ['773', 'a password to be changed', { control: accountControl.normal, more: { pwdLastSet: '0' } }, password],
  ])('data %s for %s', async (data, _what, state, typed) => {
    const user = adUser({ rdn: `CN=data-${data}`, accountName: `data-${data}`, password, ...state });
    await samba.add(toLdif([user]));
    const { code, text } = await bind(user.dn, typed);
    expect(code).toBe(49);
    expect(text).toContain(`AcceptSecurityContext error, data ${data},`);
  });

  test('data 775 after three wrong passwords', async () => {
    const user = adUser({ rdn: 'CN=unlucky', accountName: 'unlucky', password });
    await samba.add(toLdif([user]));
    expect(await bind(user.dn)).toMatchObject({ code: 0 });
    for (let attempt = 0; attempt < 3; attempt += 1) {
      expect(await bind(user.dn, 'wrong')).toMatchObject({ code: 49 });
    }
    expect((await bind(user.dn)).text).toContain('AcceptSecurityContext error, data 775,');
  });
});

test('accepts awkward names, in nested groups, and passwords in UTF-8', async () => {
  const utf8 = `${password} pässwörd 😀`;
  const user = adUser({ rdn: 'CN=R\\5C\\+D (x)', accountName: 'r-and-d', password: utf8 });
  const group = (name: string, member: string) => ({
    dn: `CN=${name},CN=Users,${samba.suffix}`,
    attributes: { objectClass: 'group', sAMAccountName: name, member },
  });
  const inner = group('inner', user.dn);
  await samba.add(toLdif([user, inner, group('outer', inner.dn)]));
  expect(await bind(user.dn, utf8)).toMatchObject({ code: 0 });
  const chain = `(&(objectClass=group)(member:1.2.840.113556.1.4.1941:=${user.dn.replace(/[\\()]/g, (sign) => `\\${Buffer.from(sign).toString('hex')}`)}))`;
  const login = { url: samba.ldapsUrl, caFile: samba.caFile, ...samba.administrator };
  const found = await runLdapTool('ldapsearch', login, ['-LLL', '-b', samba.suffix, chain, 'cn']);
  expect(found.stdout.match(/^cn: .*/gm)?.sort()).toEqual(['cn: inner', 'cn: outer']);
});

test('offers StartTLS, requires it for passwords, and comes back after a stop and a hang', async () => {
  const clear = { url: samba.url, caFile: samba.caFile, ...samba.administrator };
  expect(await runLdapTool('ldapwhoami', clear, ['-ZZ'])).toMatchObject({ code: 0 });
  expect(await tryBind(clear)).toMatchObject({ code: 8 });
  await samba.stop();
  expect(await tryBind(clear)).toMatchObject({ code: 255 });
  await samba.start();
  await samba.hang();
  const late = tryBind(clear);
  await samba.start();
  expect(await late).toMatchObject({ code: 8 });
});
