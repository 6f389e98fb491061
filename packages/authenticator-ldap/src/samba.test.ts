import { randomUUID } from 'node:crypto';
import type { Decision } from '@sallyport/authenticator';
import { type LdifEntry, toLdif, toReplacements } from '@sallyport/test-servers/ldif';
import {
  type AdUser,
  accountControl,
  adUser,
  newAdPassword,
  type Samba,
  startSamba,
} from '@sallyport/test-servers/samba';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import plugin from './index.ts';
import { exampleGateway, expectExampleWorks } from './testing/example-gateway.ts';
import { type PluginGateway, pluginGateway } from './testing/plugin-gateway.ts';
import { compareWithNewConnections } from './testing/reused-connections.ts';
import {
  barred,
  needsSmartCard,
  type RevalidationTarget,
  revalidationCases,
} from './testing/revalidation-cases.ts';
import { expectNoOtherPassword, expectOneUser } from './testing/spellings.ts';
import { expectUnknownAttributes } from './testing/unknown-attributes.ts';

/** All tests with Active Directory share one domain, which takes a second to start. Each test has users of its own. */

const password = newAdPassword();
let samba: Samba;
beforeAll(async () => {
  samba = await startSamba();
  // Only an organizational unit may contain other units.
  await samba.add(
    toLdif([{ dn: `OU=staff,${samba.suffix}`, attributes: { objectClass: 'organizationalUnit' } }]),
  );
});
afterAll(() => samba?.[Symbol.asyncDispose]());

const inChain = '(&(objectClass=group)(member:1.2.840.113556.1.4.1941:={dn}))';

function options() {
  const { ldapsUrl, caFile, suffix, administrator } = samba;
  return {
    urls: [ldapsUrl],
    caFile,
    serverTimeout: '30s',
    bind: administrator,
    user: {
      base: suffix,
      filter: '(&(objectCategory=person)(objectClass=user))',
      loginAttributes: ['sAMAccountName', 'userPrincipalName'],
      attributes: { username: 'sAMAccountName', uid: 'objectGUID', extra: { sid: 'objectSid' } },
    },
    groups: { base: suffix, filter: inChain, name: 'sAMAccountName' },
  };
}

function gateway(changed: object = {}): Promise<PluginGateway> {
  return pluginGateway(plugin, { ...options(), ...changed });
}

async function addUser(
  state: Partial<AdUser> = {},
): Promise<{ readonly dn: string; readonly name: string }> {
  const name = `u-${randomUUID().slice(0, 13)}`;
  const user = adUser({ rdn: `CN=${name}`, accountName: name, password, ...state });
  await samba.add(toLdif([user]));
  return { dn: user.dn, name };
}

function group(name: string, member: string, rdn = `CN=${name}`): LdifEntry {
  return {
    dn: `${rdn},CN=Users,${samba.suffix}`,
    attributes: { objectClass: 'group', sAMAccountName: name, member },
  };
}

const groupsOf = (decision: Decision) =>
  decision.kind === 'authenticated' ? decision.user.groups : decision;

describe('Active Directory', () => {
  test('logs in by either name, with the GUID and the SID as text', async () => {
    const { name } = await addUser();
    await using made = await gateway();
    const decision = await made.logIn(name, password);
    expect(decision).toEqual({
      kind: 'authenticated',
      user: {
        username: name,
        uid: expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
        groups: [],
        extra: { sid: [expect.stringMatching(/^S-1-5-21-\d+-\d+-\d+-\d+$/)] },
      },
    });
    expect(await made.logIn(`${name.toUpperCase()}@${samba.realm}`, password)).toEqual(decision);
    expect(await made.logIn(`${name}@elsewhere.example.com`, password)).toEqual({
      kind: 'no-opinion',
    });
    expect(made.attempts.map(({ outcome }) => outcome)).toEqual(['accepted', 'accepted']);
  });

  test.each([
    {
      what: 'a wrong password',
      reason: 'invalid-credentials',
      outcome: 'refused',
      state: {},
      secret: `${password}x`,
    },
    {
      what: 'no hour of the week',
      reason: 'disabled',
      outcome: 'accepted',
      state: { more: { logonHours: Buffer.alloc(21) } },
      secret: password,
    },
    {
      what: 'a password that is too old',
      reason: 'password-expired',
      outcome: 'accepted',
      state: { control: accountControl.normal },
      secret: password,
    },
    {
      what: 'a disabled account',
      reason: 'disabled',
      outcome: 'accepted',
      state: { control: accountControl.disabled },
      secret: password,
    },
    {
      what: 'an expired account',
      reason: 'expired',
      outcome: 'accepted',
      state: { more: { accountExpires: '1' } },
      secret: password,
    },
    {
      what: 'a password to be changed',
      reason: 'password-expired',
      outcome: 'accepted',
      state: { control: accountControl.normal, more: { pwdLastSet: '0' } },
      secret: password,
    },
  ])(
    '$what is refused as $reason, and the password was $outcome',
    async ({ reason, outcome, state, secret }) => {
      const { dn, name } = await addUser(state);
      await using made = await gateway();
      expect(await made.logIn(name, secret)).toEqual({ kind: 'rejected', reason, subject: name });
      expect(made.attempts).toEqual([{ subject: dn, admitted: true, outcome }]);
      const guess = await made.logIn(name, `${password}y`);
      expect(guess).toEqual({ kind: 'rejected', reason: 'invalid-credentials', subject: name });
    },
  );

  test('answers each login on a reused connection as on a new one', async () => {
    const [right, other] = [await addUser(), await addUser()];
    const disabled = await addUser({ control: accountControl.disabled });
    const expired = await addUser({ more: { accountExpires: '1' } });
    const mustChange = await addUser({ control: accountControl.normal, more: { pwdLastSet: '0' } });
    const users = [right, other, disabled, expired, mustChange].map(({ name }) => ({
      name,
      password,
    }));
    const lockAfter = (failures: string) =>
      samba.modify(
        toReplacements([{ dn: samba.suffix, attributes: { lockoutThreshold: failures } }]),
      );
    await lockAfter('0');
    try {
      await compareWithNewConnections({ options: options(), url: samba.url, users });
    } finally {
      await lockAfter('3');
    }
  });

  test('an unknown name is no opinion, and an empty password is no token', async () => {
    const { name } = await addUser();
    await using made = await gateway();
    expect(await made.logIn(`no-${name}`, password)).toEqual({ kind: 'no-opinion' });
    expect(await made.logIn(name, '')).toEqual({ kind: 'no-opinion' });
    expect(made.attempts).toEqual([]);
  });
});

describe('groups of Active Directory', () => {
  test.each(['CN=R\\+D', 'CN=al\\5C69ce', 'CN=\\ lead and trail\\ ', 'CN=\\#hash (x) * é 山'])(
    'of %s are found in chain, level by level, and from memberOf, all the same',
    async (rdn) => {
      const { dn, name } = await addUser({ rdn });
      const inner = group(`in-${name}`, dn);
      const hard = group(`hard-${name}`, inner.dn, `CN=hard\\+\\, ${name}`);
      const outer = group(`out-${name}`, hard.dn);
      await samba.add(toLdif([inner, hard, outer]));
      const base = samba.suffix;
      const names = [inner, hard, outer].map(({ attributes }) => attributes.sAMAccountName).sort();
      const level = '(&(objectClass=group)(member={dn}))';
      await using chained = await gateway();
      expect(groupsOf(await chained.logIn(name, password))).toEqual(names);
      await using walked = await gateway({
        groups: { base, filter: level, nested: true, name: 'sAMAccountName' },
      });
      expect(groupsOf(await walked.logIn(name, password))).toEqual(names);
      await using listed = await gateway({ groups: { attribute: 'memberOf', base } });
      expect(groupsOf(await listed.logIn(name, password))).toEqual([`in-${name}`]);
      await using both = await gateway({
        groups: { attribute: 'memberOf', base, filter: level, nested: true },
      });
      expect(groupsOf(await both.logIn(name, password))).toEqual(
        [`hard+, ${name}`, `in-${name}`, `out-${name}`].sort(),
      );
    },
  );

  test('nothing of another user comes along', async () => {
    const plain = await addUser({ rdn: 'CN=Q69' });
    const plus = await addUser({ rdn: 'CN=\\+Q69' });
    await samba.add(toLdif([group(`secret-${plain.name}`, plain.dn)]));
    await using made = await gateway();
    expect(groupsOf(await made.logIn(plain.name, password))).toEqual([`secret-${plain.name}`]);
    expect(groupsOf(await made.logIn(plus.name, password))).toEqual([]);
  });
});

test('check() finds no problem, and reports a wrong base, a wrong account and a connection in clear', async () => {
  await using good = await gateway();
  await good.check();
  const { administrator, suffix, url, ldapsUrl } = samba;
  await using wrongBase = await gateway({ groups: { base: `OU=gone,${suffix}`, filter: inChain } });
  await expect(wrongBase.check()).rejects.toThrow(
    `${ldapsUrl}: groups.base "OU=gone,${suffix}" does not exist there`,
  );
  await using wrongAccount = await gateway({
    bind: { ...administrator, password: newAdPassword() },
  });
  await expect(wrongAccount.check()).rejects.toThrow('the service account');
  await using clear = await gateway({ urls: [url], caFile: undefined, insecure: true });
  await expect(clear.check()).rejects.toThrow('(8 strongerAuthRequired): use ldaps://');
  await expect(clear.logIn('Administrator', password)).rejects.toMatchObject({
    code: 'unavailable',
  });
  await using upgraded = await gateway({ urls: [url], startTLS: true });
  await upgraded.check();
});

test('check() warns of attributes that are not in the schema, and of no others', async () => {
  const { user, groups } = options();
  const attributes = {
    ...user.attributes,
    email: 'mail',
    extra: { sid: 'objectSid', dn: 'distinguishedName' },
  };
  const good = {
    user: { ...user, attributes },
    groups: { base: groups.base, attribute: 'memberOf' },
  };
  await using known = await gateway(good);
  await expectUnknownAttributes(known, []);
  await using unknown = await gateway({
    user: { ...user, loginAttributes: ['samAcountName', 'userPrincipalName'] },
    groups: { ...groups, filter: '(memberr={dn})', name: 'samName' },
  });
  const expected = ['user.filter samAcountName', 'groups.filter memberr', 'groups.name samName'];
  await expectUnknownAttributes(unknown, expected);
});

test('active-directory.yaml works with a domain of Samba', async () => {
  const alice = adUser({
    rdn: 'CN=Alice A.',
    accountName: 'alice',
    password,
    more: { mail: 'alice@example.com' },
  });
  const team = group('team', alice.dn);
  await samba.add(
    toLdif([alice, team, group('all', team.dn), group('others', samba.administrator.dn)]),
  );
  await using made = await exampleGateway('active-directory.yaml', {
    ...samba,
    service: samba.administrator,
  });
  await expectExampleWorks(made, ['alice', `alice@${samba.realm}`], password, ['all', 'team']);
});

/** The schemaIDGUID of the attribute (MS-ADA1 section 2.1). */
const accountExpires = 'bf967915-0de6-11d0-a285-00aa003049e2';

function target(): RevalidationTarget {
  const { ldapsUrl, caFile, suffix, administrator } = samba;
  const people = `OU=staff,${suffix}`;
  return {
    server: samba,
    password,
    options: {
      urls: [ldapsUrl],
      caFile,
      serverTimeout: '30s',
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
    unlocked: { lockoutTime: '0' },
    refusals: {
      'disabled account': ['disabled', { userAccountControl: String(accountControl.disabled) }],
      [needsSmartCard]: ['disabled', { userAccountControl: String(accountControl.smartCard) }],
      'expired account': ['expired', { accountExpires: '1' }],
      'password to be changed': [
        'password-expired',
        { userAccountControl: String(accountControl.normal), pwdLastSet: '0' },
      ],
      'password that is too old': [
        'password-expired',
        { userAccountControl: String(accountControl.normal) },
      ],
    },
  };
}

test('all spellings of a name are one user, and no other password is theirs', async () => {
  const { options } = target();
  const { name, dn } = await addUser();
  const user = { name, dn, password };
  await using made = await pluginGateway(plugin, {
    ...options,
    user: { ...(options.user as object), base: samba.suffix },
  });
  const accepted = await expectOneUser(made, user, [
    `${name}@${samba.realm}`,
    `${name.toUpperCase()}@${samba.realm.toLowerCase()}`,
  ]);
  expect(accepted).toEqual(expect.arrayContaining([name.toUpperCase(), `${name}@${samba.realm}`]));
  await expectNoOtherPassword(made, user);
});

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

  test('a user of another authenticator is found by the GUID or the SID as text', async () => {
    const { options, people, person } = target();
    const name = `u-${randomUUID().slice(0, 13)}`;
    await samba.add(toLdif([person(name, `CN=${name},${people}`)]));
    const user = {
      ...(options.user as { attributes: object }),
      lookUpFilter: '(|(objectGUID={username})(objectSid={username}))',
      attributes: { username: 'sAMAccountName', uid: 'objectGUID', extra: { sid: 'objectSid' } },
    };
    await using made = await pluginGateway(plugin, { ...options, user });
    const decision = await made.logIn(name, password);
    if (decision.kind !== 'authenticated') throw new Error('the login was refused');
    const { uid = '', extra } = decision.user;
    for (const id of [uid, String(extra?.sid)]) expect(await made.join(id)).toEqual(decision);
    // No attribute of the filter can have it, so no one was looked for.
    await expect(made.join(name)).rejects.toThrow("can't be a value of objectGUID or objectSid");
  });

  test('a user of another authenticator who is disabled is not missing, however the GUID or the SID is written', async () => {
    const { options, people, person } = target();
    const name = `u-${randomUUID().slice(0, 13)}`;
    const dn = `CN=${name},${people}`;
    await samba.add(toLdif([person(name, dn)]));
    const attributes = {
      username: 'sAMAccountName',
      uid: 'objectGUID',
      extra: { sid: 'objectSid' },
    };
    const joining = (lookUpFilter: string) =>
      pluginGateway(plugin, {
        ...options,
        user: { ...(options.user as object), base: samba.suffix, lookUpFilter, attributes },
      });
    await using byGuid = await joining('(objectGUID={username})');
    await using bySid = await joining('(objectSid={username})');
    const decision = await byGuid.logIn(name, password);
    if (decision.kind !== 'authenticated') throw new Error('the login was refused');
    const { uid: guid = '', extra } = decision.user;
    const sid = String(extra?.sid);
    const disabled = { userAccountControl: String(accountControl.disabled) };
    await samba.modify(toReplacements([{ dn, attributes: disabled }]));
    const refused = { kind: 'rejected', reason: 'disabled' };
    expect(await byGuid.join(guid)).toMatchObject(refused);
    expect(await bySid.join(sid)).toMatchObject(refused);
    const digits = guid.replaceAll('-', '');
    for (const id of [
      `{${guid}}`,
      digits,
      ` ${guid}`,
      Buffer.from(digits, 'hex').toString('base64'),
    ])
      await expect(byGuid.join(id)).rejects.toMatchObject({ code: 'failed' });
    for (const id of [
      sid.replace('S-1-5-', 'S-1-05-'),
      ` ${sid}`,
      `${sid} `,
      sid.replace('S-', ''),
    ])
      await expect(bySid.join(id)).rejects.toMatchObject({ code: 'failed' });
    // Samba refers to its other partitions at each search below the domain: that alone hides no one.
    expect(await byGuid.join(randomUUID())).toBeUndefined();
  });

  test("an attribute of the account that the service account can't read is in a warning", async () => {
    const { options, people, person } = target();
    const name = `u-${randomUUID().slice(0, 13)}`;
    const dn = `CN=${name},${people}`;
    await samba.add(toLdif([person(name, dn)]));
    await using made = await pluginGateway(plugin, options);
    const warnings = () => made.lines.filter(({ level }) => level === 'warn');
    const decision = await made.logIn(name, password);
    if (decision.kind !== 'authenticated') throw new Error('the login was refused');
    expect(await made.revalidate(decision.user)).toEqual(decision);
    expect(warnings()).toEqual([]);
    await samba.hide(dn, accountExpires);
    expect(await made.revalidate(decision.user)).toEqual(decision);
    expect(warnings()).toMatchObject([
      {
        fields: { attributes: 'accountExpires' },
        message: 'account state readable in part: what only these attributes show ends no session',
      },
    ]);
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
