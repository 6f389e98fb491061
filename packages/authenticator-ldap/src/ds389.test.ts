import { randomUUID } from 'node:crypto';
import { type Ds389, startDs389 } from '@sallyport/test-servers/ds389';
import { type LdifEntry, toLdif, toReplacements } from '@sallyport/test-servers/ldif';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import plugin from './index.ts';
import { exampleGateway, expectExampleWorks } from './testing/example-gateway.ts';
import { type PluginGateway, pluginGateway } from './testing/plugin-gateway.ts';
import { compareWithNewConnections } from './testing/reused-connections.ts';
import {
  barred,
  type RevalidationTarget,
  revalidationCases,
} from './testing/revalidation-cases.ts';
import { expectUnknownAttributes } from './testing/unknown-attributes.ts';

/** All tests with 389-DS share one server, which takes a second to start. Each test has users of its own. */

const password = randomUUID();
let server: Ds389;
beforeAll(async () => {
  server = await startDs389();
  // Without this setting the server does not record when a password was changed.
  await server.modify(
    toReplacements([{ dn: 'cn=config', attributes: { passwordTrackUpdateTime: 'on' } }]),
  );
});
afterAll(() => server?.[Symbol.asyncDispose]());

function options() {
  const { ldapsUrl, caFile, service, suffix } = server;
  const user = {
    base: `ou=people,${suffix}`,
    filter: '(&(objectClass=person)(uid={username}))',
    attributes: { uid: 'nsUniqueId' },
  };
  const groups = { base: `ou=groups,${suffix}`, filter: '(member={dn})', nested: true };
  return { urls: [ldapsUrl], caFile, serverTimeout: '30s', bind: service, user, groups };
}

function gateway(changed: object = {}): Promise<PluginGateway> {
  return pluginGateway(plugin, { ...options(), ...changed });
}

async function configured<T>(
  attributes: Readonly<Record<string, string>>,
  work: () => Promise<T>,
): Promise<T> {
  const set = (values: Readonly<Record<string, string>>) =>
    server.modify(toReplacements([{ dn: 'cn=config', attributes: values }]));
  await set(attributes);
  try {
    return await work();
  } finally {
    await set({ passwordMustChange: 'off', passwordLockout: 'on' });
  }
}

/** Adds a user. @param rdn as RFC 4514 writes it, by default the uid */
async function addUser(
  state: LdifEntry['attributes'] = {},
  rdn?: string,
): Promise<{ dn: string; uid: string }> {
  const uid = `u-${randomUUID()}`;
  const dn = `${rdn ?? `uid=${uid}`},ou=people,${server.suffix}`;
  const person = { objectClass: 'inetOrgPerson', uid, sn: uid, userPassword: password };
  await server.add(
    toLdif([{ dn, attributes: rdn === undefined ? { ...person, cn: uid } : person }]),
  );
  if (Object.keys(state).length > 0)
    await server.modify(toReplacements([{ dn, attributes: state }]));
  return { dn, uid };
}

function group(cn: string, member: string): LdifEntry {
  return {
    dn: `cn=${cn},ou=groups,${server.suffix}`,
    attributes: { objectClass: 'groupOfNames', cn, member },
  };
}

describe('389-DS', () => {
  test('check() warns of attributes that are not in the schema, and of no others', async () => {
    const { user, groups } = options();
    const attributes = {
      uid: 'nsUniqueId',
      email: 'mail',
      extra: { dn: 'entryDN', id: 'entryUUID' },
    };
    await using known = await gateway({
      user: { ...user, attributes },
      groups: { ...groups, attribute: 'memberOf' },
    });
    await expectUnknownAttributes(known, []);
    await using unknown = await gateway({
      user: { ...user, filter: '(uidd={username})' },
      groups: { ...groups, filter: '(memberr={dn})', name: 'samName' },
    });
    await expectUnknownAttributes(unknown, [
      'user.filter uidd',
      'groups.filter memberr',
      'groups.name samName',
    ]);
  });

  test('logs in with the right password only', async () => {
    const { dn, uid } = await addUser();
    await using made = await gateway();
    await made.check();
    expect(await made.logIn(uid.toUpperCase(), password)).toEqual({
      kind: 'authenticated',
      user: { username: uid, uid: expect.stringMatching(/^[0-9a-f]{8}-/), groups: [] },
    });
    const refused = { kind: 'rejected', reason: 'invalid-credentials', subject: uid };
    expect(await made.logIn(uid, `${password}x`)).toEqual(refused);
    expect(await made.logIn(`no-${uid}`, password)).toEqual({ kind: 'no-opinion' });
    expect(made.attempts).toEqual([
      { subject: dn, admitted: true, outcome: 'accepted' },
      { subject: dn, admitted: true, outcome: 'refused' },
    ]);
  });

  test.each([
    {
      what: 'an inactive account',
      state: { nsAccountLock: 'true' },
      reason: 'disabled',
      outcome: 'unavailable',
      guessed: 'disabled',
    },
    {
      what: 'an expired password',
      state: { passwordExpirationTime: '20200101000000Z' },
      reason: 'password-expired',
      outcome: 'accepted',
      guessed: 'invalid-credentials',
    },
  ])('$what is refused, with a wrong password too', async ({ state, reason, outcome, guessed }) => {
    const { uid } = await addUser(state);
    await using made = await gateway();
    expect(await made.logIn(uid, password)).toEqual({ kind: 'rejected', reason, subject: uid });
    expect(made.attempts).toMatchObject([{ outcome }]);
    expect(await made.logIn(uid, `${password}x`)).toEqual({
      kind: 'rejected',
      reason: guessed,
      subject: uid,
    });
  });

  test('a password that the manager has set, and that must be changed, is refused though the server takes it', async () => {
    const { dn, uid } = await addUser();
    await configured({ passwordMustChange: 'on' }, async () => {
      await server.modify(toReplacements([{ dn, attributes: { userPassword: password } }]));
      await using made = await gateway();
      expect(await made.logIn(uid, password)).toEqual({
        kind: 'rejected',
        reason: 'password-expired',
        subject: uid,
      });
      expect(made.attempts).toMatchObject([{ outcome: 'accepted' }]);
    });
  });

  test('answers each login on a reused connection as on a new one', async () => {
    const [right, other] = [await addUser(), await addUser()];
    const disabled = await addUser({ nsAccountLock: 'true' });
    const expired = await addUser({ passwordExpirationTime: '20200101000000Z' });
    const users = [right, other, disabled, expired].map(({ uid }) => ({ name: uid, password }));
    await configured({ passwordLockout: 'off' }, () =>
      compareWithNewConnections({ options: options(), url: server.url, users }),
    );
  });
});

test.each(['cn=R\\+D', 'cn=al\\5C69ce', 'cn=\\20lead and trail\\20', 'cn=a\\,b\\;c\\"d\\<e\\>f'])(
  'groups of %s are found level by level, and from memberOf',
  async (rdn) => {
    const { dn, uid } = await addUser({}, rdn);
    const inner = group(`in-${uid}`, dn);
    await server.add(toLdif([inner, group(`out-${uid}`, inner.dn)]));
    await using walked = await gateway();
    const groups = [`in-${uid}`, `out-${uid}`];
    expect(await walked.logIn(uid, password)).toMatchObject({
      kind: 'authenticated',
      user: { groups },
    });
    await using listed = await gateway({
      groups: { attribute: 'memberOf', base: `ou=groups,${server.suffix}` },
    });
    // Its memberOf also contains groups of groups.
    expect(await listed.logIn(uid, password)).toMatchObject({
      kind: 'authenticated',
      user: { groups },
    });
  },
);

test('389-ds.yaml works with 389-DS', async () => {
  const alice = `uid=alice,ou=people,${server.suffix}`;
  const user = {
    objectClass: 'inetOrgPerson',
    uid: 'alice',
    cn: 'Alice',
    sn: 'A',
    mail: 'alice@example.com',
  };
  const [team, others] = [group('team', alice), group('others', server.service.dn)];
  const entries = [
    { dn: alice, attributes: { ...user, userPassword: password } },
    team,
    group('all', team.dn),
    others,
  ];
  await server.add(toLdif(entries));
  await using made = await exampleGateway('389-ds.yaml', server);
  await expectExampleWorks(made, ['alice'], password, ['all', 'team']);
});

function target(): RevalidationTarget {
  const { ldapsUrl, caFile, service, suffix } = server;
  const [people, groups] = [`ou=people,${suffix}`, `ou=groups,${suffix}`];
  return {
    server,
    password,
    options: {
      urls: [ldapsUrl],
      caFile,
      serverTimeout: '30s',
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
    unlocked: { accountUnlockTime: [], passwordRetryCount: '0' },
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

  test('a state that the service account is not allowed to read is distinguished from one that is not there', async () => {
    const { dn, uid } = await addUser();
    const warningsWithout = async (attributes: string) => {
      const rule = `deny (read, search, compare) userdn = "ldap:///${server.service.dn}";`;
      const aci = `(targetattr="${attributes}")(version 3.0; acl "hidden"; ${rule})`;
      await server.modify(toReplacements([{ dn, attributes: { aci } }]));
      await using made = await gateway();
      expect(await made.revalidate({ username: uid })).toMatchObject({ kind: 'authenticated' });
      return made.lines.filter(({ level }) => level === 'warn').map(({ message }) => message);
    };
    const others = 'passwordExpirationTime || pwdUpdateTime';
    expect(await warningsWithout(others)).toEqual([]);
    expect(await warningsWithout(`${others} || nsAccountLock`)).toEqual([
      'account state not readable: a disabled account or a changed password ends no session',
    ]);
  });
});
