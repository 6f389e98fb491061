import { randomUUID } from 'node:crypto';
import { type Ds389, startDs389 } from '@sallyport/test-servers/ds389';
import { type LdifEntry, toLdif, toReplacements } from '@sallyport/test-servers/ldif';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import plugin from './index.ts';
import { compareWithNewConnections } from './testing/kept-connections.ts';
import { type PluginGateway, pluginGateway } from './testing/plugin-gateway.ts';

const password = randomUUID();
let server: Ds389;
beforeAll(async () => {
  server = await startDs389();
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
  return { urls: [ldapsUrl], caFile, serverTimeout: '10s', bind: service, user, groups };
}

function gateway(changed: object = {}): Promise<PluginGateway> {
  return pluginGateway(plugin, { ...options(), ...changed });
}

async function configured<T>(attributes: Readonly<Record<string, string>>, work: () => Promise<T>): Promise<T> {
  const set = (values: Readonly<Record<string, string>>) =>
    server.modify(toReplacements([{ dn: 'cn=config', attributes: values }]));
  await set(attributes);
  try {
    return await work();
  } finally {
    await set({ passwordMustChange: 'off', passwordLockout: 'on' });
  }
}

/** @param rdn as RFC 4514 writes it; left out: the uid */
async function addUser(state: LdifEntry['attributes'] = {}, rdn?: string): Promise<{ dn: string; uid: string }> {
  const uid = `u-${randomUUID()}`;
  const dn = `${rdn ?? `uid=${uid}`},ou=people,${server.suffix}`;
  const person = { objectClass: 'inetOrgPerson', uid, sn: uid, userPassword: password };
  await server.add(toLdif([{ dn, attributes: rdn === undefined ? { ...person, cn: uid } : person }]));
  if (Object.keys(state).length > 0) await server.modify(toReplacements([{ dn, attributes: state }]));
  return { dn, uid };
}

describe('389-DS', () => {
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
    ['an inactive account', { nsAccountLock: 'true' }, 'disabled', 'refused', 'disabled'],
    [
      'an expired password',
      { passwordExpirationTime: '20200101000000Z' },
      'password-expired',
      'accepted',
      'invalid-credentials',
    ],
  ])('%s is refused, with a wrong password too', async (_what, state, reason, outcome, guessed) => {
    const { uid } = await addUser(state);
    await using made = await gateway();
    expect(await made.logIn(uid, password)).toEqual({ kind: 'rejected', reason, subject: uid });
    expect(made.attempts).toMatchObject([{ outcome }]);
    expect(await made.logIn(uid, `${password}x`)).toEqual({ kind: 'rejected', reason: guessed, subject: uid });
  });

  test('three wrong passwords lock an account, and then the right one is refused as locked', async () => {
    const { uid } = await addUser();
    await using made = await gateway();
    for (let attempt = 0; attempt < 3; attempt += 1) await made.logIn(uid, `${password}${attempt}`);
    expect(await made.logIn(uid, password)).toEqual({ kind: 'rejected', reason: 'locked', subject: uid });
    expect(made.attempts.every(({ outcome }) => outcome === 'refused')).toBe(true);
  });

  test('a password that the manager has set, and that must be changed, is refused though the server takes it', async () => {
    const { dn, uid } = await addUser();
    await configured({ passwordMustChange: 'on' }, async () => {
      await server.modify(toReplacements([{ dn, attributes: { userPassword: password } }]));
      await using made = await gateway();
      expect(await made.logIn(uid, password)).toEqual({ kind: 'rejected', reason: 'password-expired', subject: uid });
      expect(made.attempts).toMatchObject([{ outcome: 'accepted' }]);
    });
  });

  test('answers each login on a kept connection as on a new one', async () => {
    const [right, other] = [await addUser(), await addUser()];
    const disabled = await addUser({ nsAccountLock: 'true' });
    const expired = await addUser({ passwordExpirationTime: '20200101000000Z' });
    const users = [right, other, disabled, expired].map(({ uid }) => ({ name: uid, password }));
    await configured({ passwordLockout: 'off' }, () =>
      compareWithNewConnections({ options: options(), url: server.url, users }),
    );
  });
});

test.each([
  'cn=R\\+D',
  'cn=Back\\5Cslash',
  'cn=al\\5C69ce',
  'cn=\\20lead and trail\\20',
  'cn=a\\,b\\;c\\"d\\<e\\>f',
  'cn=é山',
])('groups of %s are found level by level, and from memberOf', async (rdn) => {
  const { dn, uid } = await addUser({}, rdn);
  const group = (cn: string, member: string): LdifEntry => ({
    dn: `cn=${cn},ou=groups,${server.suffix}`,
    attributes: { objectClass: 'groupOfNames', cn, member },
  });
  const inner = group(`in-${uid}`, dn);
  await server.add(toLdif([inner, group(`out-${uid}`, inner.dn)]));
  await using walked = await gateway();
  const groups = [`in-${uid}`, `out-${uid}`];
  expect(await walked.logIn(uid, password)).toMatchObject({ kind: 'authenticated', user: { groups } });
  await using listed = await gateway({ groups: { attribute: 'memberOf', base: `ou=groups,${server.suffix}` } });
  // Its memberOf holds groups of groups too.
  expect(await listed.logIn(uid, password)).toMatchObject({ kind: 'authenticated', user: { groups } });
});
