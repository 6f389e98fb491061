import { randomUUID } from 'node:crypto';
import { tryBind } from '@sallyport/test-servers/ldap-tools';
import { type LdifEntry, toLdif, toReplacements } from '@sallyport/test-servers/ldif';
import { type Slapd, startSlapd } from '@sallyport/test-servers/slapd';
import { locksHidden, policies } from '@sallyport/test-servers/slapd-configuration';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import plugin from './index.ts';
import { exampleGateway, expectExampleWorks } from './testing/example-gateway.ts';
import { pluginGateway } from './testing/plugin-gateway.ts';
import {
  barred,
  type RevalidationTarget,
  revalidationCases,
} from './testing/revalidation-cases.ts';
import { expectNoOtherPassword, expectOneUser } from './testing/spellings.ts';
import { expectUnknownAttributes } from './testing/unknown-attributes.ts';

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
      serverTimeout: '30s',
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
    unlocked: { pwdAccountLockedTime: [] },
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

test('check() warns of attributes that are not in the schema of OpenLDAP, and of no others', async () => {
  const { options } = target();
  const { user, groups } = options as Readonly<Record<'user' | 'groups', object>>;
  const attributes = { uid: 'entryUUID', email: 'mail', extra: { dn: 'entryDN', of: 'memberOf' } };
  await using known = await pluginGateway(plugin, { ...options, user: { ...user, attributes } });
  await expectUnknownAttributes(known, []);
  await using unknown = await pluginGateway(plugin, {
    ...options,
    user: { ...user, filter: '(uidd={username})' },
    groups: { ...groups, filter: '(memberr={dn})', name: 'samName' },
  });
  await expectUnknownAttributes(unknown, [
    'user.filter uidd',
    'groups.filter memberr',
    'groups.name samName',
  ]);
});

describe('check() of a directory that has', () => {
  const found = async (changed: Readonly<Record<'user' | 'groups', object>>) => {
    const { options } = target();
    const { user, groups } = options as Readonly<Record<'user' | 'groups', object>>;
    const sections = {
      user: { ...user, filter: '(uid={username})', ...changed.user },
      groups: { ...groups, ...changed.groups },
    };
    await using made = await pluginGateway(plugin, { ...options, ...sections });
    return await made.check();
  };
  const warned = (what: string, base: string, filter: string) =>
    expect.stringContaining(
      `${what}: no entry below "${base},${slapd.suffix}" matches ${filter}, the filter of`,
    );
  beforeAll(async () => {
    const { people, groups, person } = target();
    const someone = person('presence', `cn=presence,${people}`);
    const attributes = { objectClass: 'groupOfNames', cn: 'presence', member: someone.dn };
    await slapd.add(toLdif([someone, { dn: `cn=presence,${groups}`, attributes }]));
  });

  test('users and groups warns of nothing', async () => {
    expect(await found({ user: {}, groups: {} })).toEqual([]);
  });

  test('neither below the bases warns of both', async () => {
    const { people, groups } = target();
    expect(await found({ user: { base: groups }, groups: { base: people } })).toEqual([
      warned('no one can log in', 'ou=groups', '(uid=*)'),
      warned('no one has groups', 'ou=people', '(member=*)'),
    ]);
  });

  test('people and groups of other classes than the filters warns of both', async () => {
    const filter = '(&(objectClass=posixAccount)(uid={username}))';
    expect(await found({ user: { filter }, groups: { filter: '(uniqueMember={dn})' } })).toEqual([
      warned('no one can log in', 'ou=people', '(&(objectClass=posixAccount)(uid=*))'),
      warned('no one has groups', 'ou=groups', '(uniqueMember=*)'),
    ]);
  });
});

test('check() of the directory of another authenticator warns of a join by an attribute that users can write', async () => {
  const { options, people, person } = target();
  const someone = person('joined', `cn=joined,${people}`);
  const attributes = { ...someone.attributes, mail: 'joined@example.com' };
  await slapd.add(toLdif([{ ...someone, attributes }]));
  const user = { base: people, filter: '(uid={username})', lookUpFilter: '(mail={username})' };
  await using made = await pluginGateway(plugin, { ...options, user, groups: undefined });
  expect(await made.check({ isDirectory: true })).toEqual([
    expect.stringContaining('user.lookUpFilter finds users of other authenticators by mail: '),
  ]);
  expect(await made.check({ lookedUpBy: 'username' })).toEqual([]);
  const wrong = { ...user, lookUpFilter: '(maill={username})' };
  await using unknown = await pluginGateway(plugin, { ...options, user: wrong, groups: undefined });
  await expectUnknownAttributes(unknown, ['user.lookUpFilter maill']);
});

test('a look-up says that an entry has no value for the uid, which the schema knows', async () => {
  const { options, people, person } = target();
  const someone = person('no-number', `cn=no-number,${people}`);
  await slapd.add(toLdif([someone]));
  const { user } = options as { readonly user: object };
  const stepsWith = async (uid: string) => {
    await using made = await pluginGateway(plugin, {
      ...options,
      user: { ...user, attributes: { uid } },
    });
    const steps: string[] = [];
    await made.lookUp('no-number', (step) => steps.push(step));
    return steps.filter((step) => step.startsWith('no uid'));
  };
  const why =
    'the entry has no value for employeeNumber (user.attributes.uid), or the service account is not allowed to read it';
  expect(await stepsWith('employeeNumber')).toEqual([`no uid: ${why}`]);
  expect(await stepsWith('entryUUID')).toEqual([]);
});

test('check() without bind says that OpenLDAP shows nothing to an anonymous search', async () => {
  const { bind: _, ...options } = target().options as Record<string, unknown>;
  await using anonymous = await pluginGateway(plugin, options);
  await expect(anonymous.check()).rejects.toThrow(/may see it: give bind\.dn and bind\.password$/);
});

describe('revalidation in OpenLDAP', () => {
  for (const [name, run] of Object.entries(revalidationCases)) test(name, () => run(target()));

  /** Adds a user, and returns what a look-up shows of the account. */
  async function addUser(attributes: LdifEntry['attributes']) {
    const { people, person, options } = target();
    const name = `u-${randomUUID().slice(0, 13)}`;
    const entry = person(name, `CN=${name},${people}`);
    const { pwdPolicySubentry: _, ...rest } = entry.attributes;
    await slapd.add(toLdif([{ ...entry, attributes: rest }]));
    const modify = (changed: LdifEntry['attributes']) =>
      slapd.modify(toReplacements([{ dn: entry.dn, attributes: changed }]));
    if (Object.keys(attributes).length > 0) await modify(attributes);
    const made = await pluginGateway(plugin, options);
    const state = async () => {
      const steps: string[] = [];
      await made.lookUp(name, (step) => steps.push(step));
      return steps.at(-1);
    };
    const login = { url: slapd.url, dn: entry.dn, password };
    return {
      name,
      login,
      made,
      modify,
      state,
      [Symbol.asyncDispose]: () => made[Symbol.asyncDispose](),
    };
  }

  test('without the age of a password in its policy, the server records only its changes', async () => {
    await using user = await addUser({});
    expect(await user.state()).toBe(
      'account state: not known, the entry shows none of its attributes',
    );
    expect(await user.made.revalidate({ username: user.name })).toMatchObject({
      kind: 'authenticated',
    });
    const dayAgo = new Date(Date.now() - 86_400_000);
    expect(await user.made.revalidate({ username: user.name }, dayAgo)).toEqual({
      kind: 'rejected',
      reason: 'unknown-user',
    });
    // The user has none of the attributes yet, and the service account could read them.
    expect(user.made.lines.filter(({ level }) => level === 'warn')).toEqual([]);
    await user.modify({ userPassword: randomUUID() });
    expect(await user.state()).toBe('account state: nothing against the user in pwdChangedTime');
  });

  test('a state that the service account is not allowed to read is distinguished from one that is not there', async () => {
    await using user = await addUser({ description: locksHidden });
    expect(await user.made.revalidate({ username: user.name })).toMatchObject({
      kind: 'authenticated',
    });
    expect(user.made.lines.filter(({ level }) => level === 'warn')).toMatchObject([
      {
        message:
          'account state not readable: a disabled account or a changed password ends no session',
      },
    ]);
  });

  test('a password that was reset is refused at the login as in a session, also where no policy has the bind say so', async () => {
    const rejected = { kind: 'rejected', reason: 'password-expired' };
    for (const policy of [
      {},
      { pwdPolicySubentry: policies.mustChange },
      { pwdPolicySubentry: policies.warning },
    ]) {
      await using user = await addUser({ ...policy, pwdReset: 'TRUE' });
      const [binding, decision] = [
        await tryBind(user.login),
        await user.made.logIn(user.name, password),
      ];
      expect([binding.code, decision]).toEqual([0, { ...rejected, subject: user.name }]);
      expect(user.made.attempts.at(-1)).toMatchObject({ admitted: true, outcome: 'accepted' });
      expect(await user.made.revalidate({ username: user.name })).toMatchObject(rejected);
      await user.modify({ pwdReset: 'FALSE' });
      expect(await user.made.logIn(user.name, password)).toMatchObject({ kind: 'authenticated' });
      expect(await user.made.revalidate({ username: user.name })).toMatchObject({
        kind: 'authenticated',
      });
    }
  });

  /** A time as OpenLDAP writes it. */
  const secondsAgo = (seconds: number) =>
    new Date(Date.now() - seconds * 1_000).toISOString().replace(/[-:T]|\.\d+/g, '');

  async function addPolicy(seconds: string): Promise<string> {
    const dn = `cn=${randomUUID()},ou=policies,${slapd.suffix}`;
    const lockout = { pwdLockout: 'TRUE', pwdMaxFailure: '3', pwdLockoutDuration: seconds };
    const attributes = { objectClass: ['device', 'pwdPolicy'], pwdAttribute: 'userPassword' };
    await slapd.add(toLdif([{ dn, attributes: { ...attributes, ...lockout } }]));
    return dn;
  }

  test.each([
    { what: 'ends when its policy says so', duration: '3600', ago: 7_200, reason: undefined },
    { what: 'does not end before', duration: '3600', ago: 1_800, reason: 'locked' },
    {
      what: 'of a policy without an end does not end',
      duration: '0',
      ago: 7_200,
      reason: 'locked',
    },
    { what: 'for ever does not end', duration: '3600', ago: 'ever', reason: 'locked' },
  ])(
    'a lock $what, though no one logs in: in OpenLDAP, and for the service account',
    async ({ duration, ago, reason }) => {
      const time = typeof ago === 'number' ? secondsAgo(ago) : '000001010000Z';
      const pwdPolicySubentry = await addPolicy(duration);
      await using user = await addUser({ pwdPolicySubentry, pwdAccountLockedTime: time });
      for (const since of [undefined, new Date()]) {
        expect(await user.made.revalidate({ username: user.name }, since)).toMatchObject(
          reason === undefined ? { kind: 'authenticated' } : { kind: 'rejected', reason },
        );
      }
      expect(await user.state()).toMatch(
        reason === undefined ? 'nothing against the user in' : 'locked, by the attribute',
      );
      expect(await user.made.logIn(user.name, password)).toMatchObject(
        reason === undefined ? { kind: 'authenticated' } : { kind: 'rejected', reason },
      );
    },
  );

  test('a lock by wrong passwords ends by itself, though it stays in the entry', async () => {
    await using user = await addUser({ pwdPolicySubentry: await addPolicy('1') });
    for (const _ of [1, 2, 3])
      expect(await tryBind({ ...user.login, password: 'wrong' })).toMatchObject({ code: 49 });
    await expect
      .poll(() => user.made.revalidate({ username: user.name }))
      .toMatchObject({ kind: 'authenticated' });
    expect(await user.state()).toBe(
      'account state: nothing against the user in pwdAccountLockedTime',
    );
  });

  test('a lock by the default policy ends where user.passwordPolicy names it', async () => {
    const { options } = target();
    const passwordPolicy = await addPolicy('3600');
    await using user = await addUser({ pwdAccountLockedTime: secondsAgo(7_200) });
    await using made = await pluginGateway(plugin, {
      ...options,
      user: { ...(options.user as object), passwordPolicy },
    });
    expect(await made.check()).toEqual([]);
    const decisions = [
      await user.made.revalidate({ username: user.name }),
      await made.revalidate({ username: user.name }),
    ];
    expect(decisions).toMatchObject([{ reason: 'locked' }, { kind: 'authenticated' }]);
    await using wrong = await pluginGateway(plugin, {
      ...options,
      user: { ...(options.user as object), passwordPolicy: `cn=none,${slapd.suffix}` },
    });
    expect(await wrong.revalidate({ username: user.name })).toMatchObject({ reason: 'locked' });
    await expect(wrong.check()).rejects.toThrow(
      `user.passwordPolicy "cn=none,${slapd.suffix}" does not exist there`,
    );
  });
});

test('all spellings of a name are one user, and no other password is theirs', async () => {
  const { people, person, options } = target();
  const name = 'kjesper-sp\u00e5k';
  const entry = person(name, `uid=${name},${people}`);
  await slapd.add(
    toLdif([{ ...entry, attributes: { ...entry.attributes, cn: name, mail: 'kim@example.com' } }]),
  );
  const user = { name, dn: entry.dn, password };
  await using made = await pluginGateway(plugin, options);
  const accepted = await expectOneUser(made, user, ['kim', 'KIM', ' kim']);
  expect(accepted).toEqual(
    expect.arrayContaining([name.toUpperCase(), `${name} `, name.normalize('NFD'), 'kim']),
  );
  await expectNoOtherPassword(made, user);
});

test('openldap.yaml works with OpenLDAP', async () => {
  const alice = `uid=alice,ou=people,${slapd.suffix}`;
  const group = (cn: string, attributes: LdifEntry['attributes']): LdifEntry => ({
    dn: `cn=${cn},ou=groups,${slapd.suffix}`,
    attributes: { cn, ...attributes },
  });
  const user = {
    objectClass: 'inetOrgPerson',
    uid: 'alice',
    cn: 'Alice',
    sn: 'A',
    mail: 'alice@example.com',
  };
  const team = group('team', { objectClass: 'groupOfNames', member: alice });
  await slapd.add(
    toLdif([
      { dn: alice, attributes: { ...user, userPassword: password } },
      team,
      group('all', { objectClass: 'groupOfNames', member: team.dn }),
      group('unix', { objectClass: 'posixGroup', gidNumber: '500', memberUid: 'alice' }),
      group('others', { objectClass: 'posixGroup', gidNumber: '501', memberUid: 'bob' }),
    ]),
  );
  await using made = await exampleGateway('openldap.yaml', slapd);
  await expectExampleWorks(made, ['alice'], password, ['all', 'team', 'unix']);
});
