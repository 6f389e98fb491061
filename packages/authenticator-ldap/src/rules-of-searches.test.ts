import { describe, expect, test } from 'vitest';
import { ber, berInteger } from './testing/ber.ts';
import type { FakeRequest } from './testing/fake-peer.ts';
import { searchDone, searchReference } from './testing/ldap-answers.ts';
import { groupsBase, peopleBase } from './testing/ldap-options.ts';
import {
  aliceDn,
  aliceFound,
  alicePassword,
  answer,
  gatewayTo,
  loggedIn,
  partOfSearch,
  type ScriptedEntries,
  searchesOf,
  serveLogins,
  userBindsOf,
} from './testing/scripted-logins.ts';

/** Of the rules in RULES.md; those of the wire are tested with it. */

const authenticated = { kind: 'authenticated', user: { username: 'alice', groups: [] } };

const filterOf = (request: FakeRequest | undefined) => partOfSearch(request, 6)?.bytes;

test.each(['*', 'a*', 'alice)(uid=*', '\\2a', 'b\\28c', '(|(uid=a)(uid=b))', 'é山'])(
  'rule 9: the name %s is sent as its bytes, within one assertion',
  async (username) => {
    const fake = await serveLogins();
    const { logIn } = await gatewayTo([fake]);
    await logIn(username);
    const equality = ber(0xa3, ber(0x04, 'uid'), ber(0x04, username));
    expect(filterOf(searchesOf(fake)[0])).toEqual(equality);
  },
);

describe('rule 10: a DN is sent as the directory sent it', () => {
  test.each([
    'cn=al\\5C69ce,dc=x',
    'cn=Back\\5Cslash,dc=x',
    'CN=R\\+D,DC=x',
    'cn=\\+5,dc=x',
    'CN=\\ a,DC=x',
    'cn=trail\\20,dc=x',
    'cn=\\20lead,dc=x',
    'cn=a\\,b\\;c\\"d\\<e\\>f\\#g\\=h,dc=x',
    'CN=Gr\\C3\\BCn,DC=x',
    'cn=é山\u{1F600},dc=x',
    'cn=(a*b)\\00,dc=x',
    'cn;lang-en=x,dc=x',
    'cn=a"b,dc=x',
    '<SID=0123>',
    'not a dn',
    'PLAIN',
    'EXTERNAL',
  ])('%s, in the bind, in the filter, and level by level', async (dn) => {
    const group = `cn=grp\\5C,${dn}`;
    const fake = await serveLogins({
      users: answer([{ dn, attributes: { uid: ['alice'] } }]),
      groups: (request) =>
        (request.bytes.includes(group) ? answer([]) : answer([{ dn: group, attributes: { cn: ['g'] } }]))(request),
    });
    const { logIn, attempts } = await gatewayTo([fake], {
      groups: { base: groupsBase, filter: '(member={dn})', nested: true },
    });
    expect(await logIn()).toMatchObject({ kind: 'authenticated', user: { groups: ['g'] } });
    expect(userBindsOf(fake)).toMatchObject([{ dn, password: alicePassword }]);
    expect(attempts).toMatchObject([{ subject: dn }]);
    const member = (value: string) => ber(0xa3, ber(0x04, 'member'), ber(0x04, value));
    expect(searchesOf(fake).slice(1).map(filterOf)).toEqual([member(dn), member(group)]);
  });
});

describe('rule 11: exactly one entry, and all groups or none', () => {
  const twice: ScriptedEntries = [
    { dn: aliceDn, attributes: { uid: ['alice'] } },
    { dn: `uid=ALICE,${peopleBase}`, attributes: { uid: ['alice'] } },
  ];

  test.each([
    ['two entries', answer(twice)],
    ['one entry and a size limit', answer(twice.slice(1), 4)],
    ['a size limit', answer([], 4)],
  ])('%s are ambiguous, and the password is sent to no one', async (_what, users) => {
    const { fake, decision, attempts } = await loggedIn({ users });
    expect(decision).toEqual({ kind: 'rejected', reason: 'ambiguous' });
    expect(attempts).toEqual([]);
    expect(userBindsOf(fake).map(({ password: sent }) => sent)).toEqual([expect.not.stringContaining(alicePassword)]);
    expect(partOfSearch(searchesOf(fake)[0], 3)?.bytes).toEqual(berInteger(2));
  });

  const oneGroup: ScriptedEntries = [{ dn: `cn=g,${groupsBase}`, attributes: { cn: ['g'] } }];

  test.each([3, 4, 11, 18, 21, 34])('groups that end with the code %i fail the login', async (code) => {
    const fake = await serveLogins({ groups: answer(oneGroup, code) });
    await expect((await gatewayTo([fake])).logIn()).rejects.toMatchObject({ code: 'failed' });
  });

  test.each([1, 2, 10, 32, 50, 51, 52, 53, 80, 4096])(
    'groups that end with the code %i are an outage',
    async (code) => {
      const fake = await serveLogins({ groups: answer(oneGroup, code) });
      await expect((await gatewayTo([fake])).logIn()).rejects.toMatchObject({ code: 'unavailable' });
    },
  );

  test('groups that another server has are searched for there', async () => {
    const bad = await serveLogins({ groups: answer(oneGroup, 52) });
    const good = await serveLogins({ groups: answer(oneGroup) });
    const { logIn } = await gatewayTo([bad, good]);
    expect(await logIn()).toMatchObject({ kind: 'authenticated', user: { groups: ['g'] } });
    expect(userBindsOf(bad)).toHaveLength(1);
    expect(userBindsOf(good)).toEqual([]);
  });
});

describe('rule 12: nested groups have limits, cycles end, and names stay apart', () => {
  const nested = (more: object = {}) => ({
    groups: { base: groupsBase, filter: '(member={dn})', nested: true, ...more },
  });
  const group = (name: string) => ({ dn: `cn=${name},${groupsBase}`, attributes: { cn: [name] } });

  test('a cycle ends', async () => {
    const groups = (request: FakeRequest) =>
      answer(request.bytes.includes('cn=a,') ? [group('b')] : [group('a')])(request);
    const { fake, decision } = await loggedIn({ groups }, nested());
    expect(decision).toMatchObject({ user: { groups: ['a', 'b'] } });
    expect(searchesOf(fake)).toHaveLength(4);
  });

  test('without an end, the depth or the number of groups fails the login', async () => {
    for (const [bound, text] of [
      [{ maxDepth: 3 }, 'nested deeper than 3 levels'],
      [{ maxDepth: 100, maxGroups: 5 }, 'in more than 5 groups'],
    ] as const) {
      let count = 0;
      const fake = await serveLogins({ groups: (request) => answer([group(`g${count++}`)])(request) });
      const { logIn } = await gatewayTo([fake], nested(bound));
      await expect(logIn()).rejects.toMatchObject({ code: 'failed', message: expect.stringContaining(text) });
      expect(searchesOf(fake).length).toBeLessThan(8);
    }
  });

  test('no member is ever asked for', async () => {
    const { fake } = await loggedIn({ groups: answer([group('a')]) }, nested());
    const asked = searchesOf(fake).map((request) => partOfSearch(request, 7)?.content);
    expect(asked.slice(1)).toEqual([ber(0x04, 'cn'), ber(0x04, 'cn')]);
  });

  test('a name such as system:masters is made another by the template', async () => {
    const groups = answer([group('system:masters')]);
    const { decision } = await loggedIn(
      { groups },
      { groups: { base: groupsBase, filter: '(member={dn})', name: 'ad:{cn}' } },
    );
    expect(decision).toMatchObject({ user: { groups: ['ad:system:masters'] } });
  });
});

describe('rule 14: bytes stay bytes, and referrals lead nowhere', () => {
  test('objectGUID and objectSid are exact', async () => {
    const guid = Buffer.from('ff00fe80c3284411a5a5000102030405', 'hex');
    const sid = Buffer.from('010500000000000515000000a065cf7e784b9b5fe77c8770091c0100', 'hex');
    const users = answer([{ dn: aliceDn, attributes: { uid: ['alice'], objectGUID: [guid], objectSid: [sid] } }]);
    const attributes = { username: 'uid', uid: 'objectGUID', extra: { sid: 'objectSid' } };
    const { decision } = await loggedIn(
      { users },
      { user: { base: peopleBase, filter: '(uid={username})', attributes } },
    );
    expect(decision).toMatchObject({
      user: {
        uid: '80fe00ff-28c3-1144-a5a5-000102030405',
        extra: { sid: ['S-1-5-21-2127521184-1604012920-1887927527-72713'] },
      },
    });
  });

  test('references among the entries are left out', async () => {
    const users = (request: FakeRequest) => [
      searchReference(request.id, 'ldap://elsewhere.example.com/dc=x'),
      ...aliceFound(request),
    ];
    expect((await loggedIn({ users })).decision).toEqual(authenticated);
  });

  test('a referral for an answer is nothing found', async () => {
    const more = [ber(0xa3, ber(0x04, 'ldap://elsewhere.example.com/dc=x'))];
    const users = ({ id }: FakeRequest) => [searchDone({ id, code: 10, more })];
    expect((await loggedIn({ users })).decision).toEqual({ kind: 'no-opinion' });
  });
});
