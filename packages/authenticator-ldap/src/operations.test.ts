import { randomUUID } from 'node:crypto';
import { toLdif } from '@sallyport/test-servers/ldif';
import { type Slapd, startSlapd } from '@sallyport/test-servers/slapd';
import { afterAll, beforeAll, expect, test } from 'vitest';
import plugin from './index.ts';
import { type PluginGateway, pluginGateway } from './testing/plugin-gateway.ts';

const people = 'ou=people,dc=example,dc=com';
const groups = 'ou=groups,dc=example,dc=com';
const password = randomUUID();
const depth = 6;
const breadth = 5;

let slapd: Slapd;
beforeAll(async () => {
  slapd = await startSlapd();
  const user = (rdn: string, uid: string) => ({
    dn: `${rdn},${people}`,
    attributes: { objectClass: 'inetOrgPerson', uid, cn: uid, sn: uid, userPassword: password },
  });
  const users = [user('uid=alice', 'alice'), user('uid=twin', 'twin'), user('cn=twin', 'twin')];
  await slapd.add(toLdif([...users, ...groupTree()]));
});
afterAll(() => slapd?.[Symbol.asyncDispose]());

/** Makes groups: each group of a level is a member of each group of the next level. */
function groupTree() {
  const names = (level: number) =>
    Array.from({ length: breadth }, (_, index) => `level-${level}-${index}`);
  return Array.from({ length: depth }, (_, index) => index + 1).flatMap((level) => {
    const member =
      level === 1
        ? [`uid=alice,${people}`]
        : names(level - 1).map((name) => `cn=${name},${groups}`);
    return names(level).map((cn) => ({
      dn: `cn=${cn},${groups}`,
      attributes: { objectClass: 'groupOfNames', cn, member },
    }));
  });
}

function gateway(changed: object = {}, deny?: 'throttled'): Promise<PluginGateway> {
  const { ldapsUrl, caFile, service } = slapd;
  const user = { base: people, filter: '(uid={username})' };
  const common = { urls: [ldapsUrl], caFile, bind: service, serverTimeout: '30s', user };
  return pluginGateway(plugin, { ...common, ...changed }, deny && { deny });
}

/** Counts what one login costs the server, once the pool has its connection. */
async function costOf(made: PluginGateway, username: string, secret: string) {
  await made.logIn('warm-up', secret);
  const before = await slapd.operations();
  const decision = await made.logIn(username, secret);
  const after = await slapd.operations();
  return {
    decision,
    cost: { searches: after.searches - before.searches, binds: after.binds - before.binds },
  };
}

const wrong = randomUUID();

test.each([
  {
    what: 'an unknown user',
    username: 'nobody',
    deny: undefined,
    decision: { kind: 'no-opinion' },
  },
  {
    what: 'a wrong password',
    username: 'alice',
    deny: undefined,
    decision: { kind: 'rejected', reason: 'invalid-credentials' },
  },
  {
    what: 'an ambiguous name',
    username: 'twin',
    deny: undefined,
    decision: { kind: 'rejected', reason: 'ambiguous' },
  },
  {
    what: 'a throttled user',
    username: 'alice',
    deny: 'throttled' as const,
    decision: { kind: 'rejected', reason: 'throttled' },
  },
])('$what costs one search and one bind', async ({ username, deny, decision }) => {
  await using made = await gateway({}, deny);
  expect(await costOf(made, username, wrong)).toMatchObject({
    decision,
    cost: { searches: 1, binds: 1 },
  });
});

test.each(['nobody', 'alice', 'twin'])(
  'with two bases, %s costs two searches and one bind',
  async (username) => {
    const user = { base: [people, 'ou=services,dc=example,dc=com'], filter: '(uid={username})' };
    await using made = await gateway({ user });
    expect((await costOf(made, username, wrong)).cost).toEqual({ searches: 2, binds: 1 });
  },
);

test.each(['nobody', 'alice'])(
  'with a DN template, %s costs one search and one bind',
  async (username) => {
    await using made = await gateway({ user: { dnTemplate: `uid={username},${people}` } });
    expect((await costOf(made, username, wrong)).cost).toEqual({ searches: 1, binds: 1 });
  },
);

test('groups cost one search, groups of groups one for each level and one that finds no more', async () => {
  const tree = { base: groups, filter: '(member={dn})' };
  await using flat = await gateway({ groups: tree });
  const direct = await costOf(flat, 'alice', password);
  expect(direct).toMatchObject({
    decision: { kind: 'authenticated' },
    cost: { searches: 2, binds: 1 },
  });
  await using nested = await gateway({ groups: { ...tree, nested: true } });
  const { decision, cost } = await costOf(nested, 'alice', password);
  expect(decision.kind === 'authenticated' && decision.user.groups).toHaveLength(depth * breadth);
  expect(cost).toEqual({ searches: 1 + depth + 1, binds: 1 });
});

test('groups from an attribute cost nothing more', async () => {
  await using made = await gateway({ groups: { attribute: 'memberOf', base: groups } });
  const { decision, cost } = await costOf(made, 'alice', password);
  expect(decision.kind === 'authenticated' && decision.user.groups).toHaveLength(breadth);
  expect(cost).toEqual({ searches: 1, binds: 1 });
});
