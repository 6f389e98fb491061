import { randomBytes } from 'node:crypto';
import {
  conformanceCases,
  type RejectedToken,
  type ValidToken,
} from '@sallyport/authenticator/conformance';
import { toLdif, toReplacements } from '@sallyport/test-servers/ldif';
import { type Slapd, startSlapd } from '@sallyport/test-servers/slapd';
import { policies } from '@sallyport/test-servers/slapd-configuration';
import { afterAll, beforeAll, test } from 'vitest';
import plugin from './index.ts';
import { tokenOf } from './options/testing/ldap-options.ts';
import { compareWithNewConnections } from './testing/reused-connections.ts';

interface Person {
  readonly name: string;
  readonly password: string;
  /** The operational attributes of the password policy. */
  readonly state: Readonly<Record<string, string>>;
}

const people = 'ou=people,dc=example,dc=com';
const groups = 'ou=groups,dc=example,dc=com';
const person = (name: string, state: Person['state'] = {}): Person => ({
  name,
  password: `${randomBytes(12).toString('base64url')}:é`,
  state,
});
const dnOf = ({ name }: Person) => `uid=${name},${people}`;

const longAgo = { pwdChangedTime: '20200101000000Z' };
const users = Array.from({ length: 150 }, (_, index) => person(`user-${index}`, longAgo));
/** The directories whose sessions are tested one by one. */
const validUsers = 4;
const locked = person('locked', {
  pwdPolicySubentry: policies.lockout,
  pwdAccountLockedTime: '000001010000Z',
});
const expired = person('expired', { pwdPolicySubentry: policies.expiry, ...longAgo });
const mustChange = person('must-change', {
  pwdPolicySubentry: policies.mustChange,
  pwdReset: 'TRUE',
});
const twin = person('twin');
const wrongPassword = randomBytes(12).toString('base64url');

let slapd: Slapd;
beforeAll(async () => {
  slapd = await startSlapd();
  await slapd.add(toLdif([...entriesOfPeople(), ...entriesOfGroups()]));
  const stateful = [locked, expired, mustChange, ...users.slice(0, validUsers)];
  await slapd.modify(
    toReplacements(stateful.map((one) => ({ dn: dnOf(one), attributes: one.state }))),
  );
});
afterAll(() => slapd?.[Symbol.asyncDispose]());

function entriesOfPeople() {
  const everyone = [...users, locked, expired, mustChange, twin].map((one) => ({
    ...one,
    dn: dnOf(one),
  }));
  const second = { ...twin, dn: `cn=second,${people}` };
  return [...everyone, second].map(({ dn, name, password }) => ({
    dn,
    attributes: {
      objectClass: 'inetOrgPerson',
      uid: name,
      cn: dn === second.dn ? 'second' : name,
      sn: name,
      employeeNumber: `${name}-7`,
      mail: `${name}@example.com`,
      userPassword: password,
    },
  }));
}

/** Both halves are in one group, which is in a cycle. */
function entriesOfGroups() {
  const group = (name: string, member: readonly string[]) => ({
    dn: `cn=${name},${groups}`,
    attributes: { objectClass: 'groupOfNames', member },
  });
  const half = (rest: number) => users.filter((_, index) => index % 2 === rest).map(dnOf);
  return [
    group('even', half(0)),
    group('odd', half(1)),
    group('all', [`cn=even,${groups}`, `cn=odd,${groups}`, `cn=all,${groups}`]),
  ];
}

const valid = users.map(({ name, password }, index): ValidToken => {
  const half = index % 2 === 0 ? 'even' : 'odd';
  const user = {
    username: name,
    uid: `${name}-7`,
    groups: ['all', half],
    extra: { email: [`${name}@example.com`] },
  };
  // The typed name is another spelling of the name in the directory.
  return { token: tokenOf(index % 3 === 0 ? name.toUpperCase() : name, password), user };
});

const refused = (
  one: Person,
  reason: RejectedToken['reason'],
  password = one.password,
): RejectedToken => ({
  token: tokenOf(one.name.toUpperCase(), password),
  reason,
  subject: one.name,
});

/** The options with LDAPS and groups by search. Other tests cover StartTLS and memberOf. */
const optionsNow = () => ({
  urls: [slapd.ldapsUrl],
  caFile: slapd.caFile,
  serverTimeout: '30s',
  serverCircuit: { probeInterval: '200ms' },
  bind: slapd.service,
  user: {
    base: people,
    filter: '(&(objectClass=inetOrgPerson)(uid={username}))',
    attributes: { uid: 'employeeNumber', email: 'mail' },
  },
  groups: { base: groups, filter: '(member={dn})', nested: true },
});

const cases = conformanceCases({
  plugin,
  get options() {
    return optionsNow();
  },
  get badOptions() {
    const { user, bind, ...rest } = optionsNow();
    return [
      { options: { ...rest, bind }, key: 'user' },
      { options: { ...rest, user, bind: { ...bind, password: '' } }, key: 'bind.password' },
      { options: { ...rest, user, bind, urls: ['http://127.0.0.1'] }, key: 'urls.0' },
      { options: { ...rest, user: { ...user, filter: '(uid={name})' }, bind }, key: 'user.filter' },
      {
        options: { ...rest, user, bind, keyFile: slapd.caFile, certFile: slapd.caFile },
        key: 'keyFile',
      },
    ];
  },
  baseDirectory: '/',
  validTokens: valid.slice(0, validUsers),
  rejectedTokens: [
    refused(users[0] as Person, 'invalid-credentials', wrongPassword),
    refused(locked, 'locked'),
    refused(expired, 'password-expired'),
    refused(mustChange, 'password-expired'),
    { token: tokenOf(twin.name, twin.password), reason: 'ambiguous' },
  ],
  foreignTokens: [
    tokenOf('nobody', wrongPassword),
    randomBytes(32).toString('base64url'),
    `${(users[0] as Person).name}:${(users[0] as Person).password}`,
  ],
  get secrets() {
    return [
      slapd.service.password,
      wrongPassword,
      ...[...users, locked, expired, twin].map(({ password }) => password),
    ];
  },
  backend: {
    stop: () => slapd.stop(),
    start: () => slapd.start(),
    hang: () => slapd.hang(),
  },
  looksUpUsers: true,
  revalidation: {
    refused: [
      { user: { username: locked.name }, reason: 'locked' },
      { user: { username: mustChange.name }, reason: 'password-expired' },
      { user: { username: twin.name }, reason: 'ambiguous' },
    ],
  },
  sendsPasswords: true,
  watchesFiles: true,
  manyTokens: async (count) => valid.slice(0, count),
  deadline: 60_000,
  limit: 60_000,
});

test('each login on a reused connection gets the answer that a new one gets', async () => {
  const some = [...users.slice(0, 2), locked, expired, mustChange];
  const options = optionsNow();
  await compareWithNewConnections({ options, url: slapd.url, users: some });
});

for (const { name, run } of cases) test(name, run);
