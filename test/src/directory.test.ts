import { type FaultPlan, startFaultProxy } from '@sallyport/test-servers/fault-proxy';
import { toLdif } from '@sallyport/test-servers/ldif';
import { type People, startPeople } from '@sallyport/test-servers/people';
import { freePort } from '@sallyport/test-servers/ports';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Client, http1Client, review } from './testing/clients.ts';
import { type Gateway, startGateway } from './testing/gateway.ts';
import type { LogLine } from './testing/output.ts';
import { closedCircuit } from './testing/redis-gateway.ts';
import type { ReviewStatus } from './testing/token-review.ts';
import { createTokenSides, type Kind, kinds } from './token-sides.ts';

const modes = ['replace', 'add', 'keep'] as const;

/**
 * What a review answers, whatever kind of token it is about. Each token says that its user is in the group `dev`.
 *
 * The columns are: what the directory says, `missing`, the answer with `groups: replace`, `add` and `keep`, and the reason in the log.
 * An answer is `refused`, `error`, `none` for a user without groups, or the groups of the user. `own:` is the prefix of the token's
 * authenticator, and `corp:` the prefix of the directory.
 */
const table = `
  found          | reject | corp:dev           | own:dev corp:dev           | own:dev |
  found          | accept | corp:dev           | own:dev corp:dev           | own:dev |
  other groups   | reject | corp:a corp:b      | own:dev corp:a corp:b      | own:dev |
  other groups   | accept | corp:a corp:b      | own:dev corp:a corp:b      | own:dev |
  no groups      | reject | none               | own:dev                    | own:dev |
  no groups      | accept | none               | own:dev                    | own:dev |
  missing        | reject | refused            | refused                    | refused | unknown-user
  missing        | accept | none               | own:dev                    | own:dev |
  two entries    | reject | error              | error                      | error   | user.filter matches several entries
  two entries    | accept | error              | error                      | error   | user.filter matches several entries
  disabled       | reject | refused            | refused                    | refused | disabled
  disabled       | accept | refused            | refused                    | refused | disabled
  expired        | reject | refused            | refused                    | refused | expired
  expired        | accept | refused            | refused                    | refused | expired
  locked         | reject | refused            | refused                    | refused | locked
  locked         | accept | refused            | refused                    | refused | locked
  outage         | reject | error              | error                      | error   | ECONNREFUSED
  outage         | accept | error              | error                      | error   | ECONNREFUSED
  slow           | reject | error              | error                      | error   | no answer within 300ms
  slow           | accept | error              | error                      | error   | no answer within 300ms
  garbage        | reject | error              | error                      | error   | began with the byte
  garbage        | accept | error              | error                      | error   | began with the byte
  system group   | reject | refused            | refused                    | refused | identity-policy
  system group   | accept | refused            | refused                    | refused | identity-policy
  allowed system | reject | ops system:so      | own:dev ops system:so      | own:dev |
  allowed system | accept | ops system:so      | own:dev ops system:so      | own:dev |
  another name   | reject | corp:dev           | own:dev corp:dev           | own:dev |
  another name   | accept | corp:dev           | own:dev corp:dev           | own:dev |
  shared name    | reject | error              | error                      | error   | lookUpFilter matches several entries
  shared name    | accept | error              | error                      | error   | lookUpFilter matches several entries
  foreign prefix | reject | refused            | refused                    | refused | identity-policy
  foreign prefix | accept | refused            | refused                    | refused | identity-policy
`
  .trim()
  .split('\n')
  .map((line) => line.split('|').map((cell) => cell.trim()));

/** The user of the rows, and the directory in which they are looked up. */
const users: Readonly<Record<string, readonly [username: string, directory: string]>> = {
  found: ['ann', 'corp'],
  'other groups': ['bea', 'corp'],
  'no groups': ['cleo', 'corp'],
  missing: ['nobody', 'corp'],
  'two entries': ['twin', 'corp'],
  disabled: ['dan', 'corp'],
  expired: ['eve', 'corp'],
  locked: ['lou', 'corp'],
  outage: ['ann', 'outage'],
  slow: ['ann', 'slow'],
  garbage: ['ann', 'garbage'],
  'another name': ['E-17', 'joined'],
  'shared name': ['E-2', 'joined'],
  'system group': ['sue', 'plain'],
  'allowed system': ['sue', 'trusted'],
  'foreign prefix': ['flo', 'plain'],
};

/** Fills the directory with the users of `users`, and their groups. */
async function addUsers({ slapd }: People): Promise<void> {
  const people = `ou=people,${slapd.suffix}`;
  const entry = (dn: string, objectClass: string, attributes: object = {}) => ({
    dn: `${dn},${slapd.suffix}`,
    attributes: { objectClass, ...attributes },
  });
  const person = (name: string, state: object = {}) =>
    entry(`uid=${name},ou=people`, 'account', state);
  const group = (cn: string, name: string) =>
    entry(`cn=${cn},ou=groups`, 'groupOfNames', { member: `uid=${name},${people}` });
  await slapd.add(
    toLdif([
      person('ann', { description: 'e-17' }),
      ...['bea', 'cleo'].map((name) => person(name, { description: 'e-2' })),
      ...['sue', 'flo'].map((name) => person(name)),
      person('dan', { pwdStartTime: '20990101000000Z' }),
      person('eve', { pwdEndTime: '20200101000000Z' }),
      person('lou', { pwdAccountLockedTime: '000001010000Z' }),
      ...['east', 'west'].flatMap((ou) => [
        entry(`ou=${ou},ou=people`, 'organizationalUnit'),
        entry(`uid=twin,ou=${ou},ou=people`, 'account'),
      ]),
      group('dev', 'ann'),
      ...['a', 'b', 'wiki'].map((cn) => group(cn, 'bea')),
      ...['ops', 'system:so'].map((cn) => group(cn, 'sue')),
      group('corp:dev', 'flo'),
    ]),
  );
}

const resources = new AsyncDisposableStack();

/** Makes the entries of the directories. Three of them do not work. */
async function directoryEntries(people: People): Promise<object[]> {
  const target = { host: '127.0.0.1', port: people.slapd.port };
  const direction = 'to-client';
  const behind = async (plan: FaultPlan) => {
    const { port } = resources.use(await startFaultProxy({ target, plan: () => plan }));
    return { urls: [`ldap://127.0.0.1:${port}`], caFile: undefined, insecure: true };
  };
  // The first byte of an answer is right. The second one is read as a length that is shorter than the rest.
  const bytes = Buffer.from(`HTTP/1.1 400 Bad Request\r\n\r\n${'x'.repeat(100)}`);
  const user = {
    base: `ou=people,${people.slapd.suffix}`,
    filter: '(uid={username})',
    lookUpFilter: '(description={username})',
    attributes: { uid: 'entryUUID' },
  };
  const serverCircuit = { failures: 100 };
  const entry = (name: string, options: object, more: object = {}) =>
    people.authenticator({
      options: { serverCircuit, ...options },
      entry: {
        name,
        username: { prefix: `${name}:` },
        ...closedCircuit,
        groups: { prefix: 'corp:', allow: ['dev', 'a', 'b'] },
        ...more,
      },
    });
  return [
    entry('corp', {}),
    entry('outage', { urls: [`ldaps://localhost:${await freePort()}`] }),
    entry('slow', await behind({ kind: 'stall', direction, after: 0 }), { timeout: '300ms' }),
    entry('garbage', await behind({ kind: 'garbage', direction, after: 1, bytes, instead: true })),
    entry('joined', { user }),
    entry('plain', {}, { groups: {} }),
    entry('trusted', {}, { groups: {}, allowSystemNames: ['system:so'] }),
  ];
}

/** Makes one authenticator of each kind for each directory, `groups` and `missing`. */
const authenticators = kinds.flatMap((kind) =>
  modes.flatMap((groups) =>
    ['reject', 'accept'].flatMap((missing) =>
      [...new Set(Object.values(users).map(([, directory]) => directory))].map((directory) => ({
        name: nameOf(kind, groups, missing, directory),
        kind,
        directory: { authenticator: directory, groups, missing },
      })),
    ),
  ),
);

function nameOf(kind: Kind, groups: string, missing: string, directory: string): string {
  return [kind, groups, missing, directory].join('-');
}

let gateway: Gateway;
let client: Client;
/** The tokens by `AUTHENTICATOR USERNAME`. */
const tokens = new Map<string, string>();

beforeAll(async () => {
  const people = resources.use(await startPeople());
  await addUsers(people);
  const sides = resources.use(await createTokenSides());
  for (const { kind, name, directory } of authenticators) {
    for (const [username, of] of Object.values(users)) {
      const key = `${name} ${username}`;
      if (of === directory.authenticator && !tokens.has(key))
        tokens.set(key, await sides.token(kind, name, { username, groups: ['dev'] }));
    }
  }
  const { entry, files } = await sides.start();
  const entries = authenticators.map(({ kind, name, directory }) => {
    const prefix = { prefix: `${name}:` };
    const groups = directory.groups === 'replace' ? {} : prefix;
    return entry(kind, name, { username: prefix, groups, directory, timeout: '20s' });
  });
  gateway = resources.use(
    await startGateway({
      config: {
        // Each authenticator has its share of the slots.
        server: { apiAudiences: ['kubernetes'], maxInFlight: 6_000, reviewTimeout: '30s' },
        authenticators: [...entries, ...(await directoryEntries(people))],
      },
      files: { ...people.files, ...files },
    }),
  );
  client = resources.use(http1Client(gateway.url));
});
afterAll(() => resources.disposeAsync());

function statusOf(answer: string, kind: Kind, name: string, username: string): ReviewStatus {
  if (answer === 'refused') return { authenticated: false };
  if (answer === 'error')
    return { authenticated: false, error: `authenticator ${name} unavailable` };
  const groups = answer === 'none' ? [] : answer.split(' ');
  return {
    authenticated: true,
    user: {
      username: `${name}:${username}`,
      groups: groups.map((group) => group.replace('own:', `${name}:`)),
    },
    ...(kind === 'jwt' && { audiences: ['kubernetes'] }),
  };
}

describe('the groups of the user are right, or there is no user', () => {
  test.each(table)('%s, missing: %s', async (says = '', missing = '', ...row) => {
    const [username, directory] = users[says] ?? ['', ''];
    const reason = row[3] ?? '';
    const cells = kinds.flatMap((kind) =>
      modes.map((groups, index) => {
        const name = nameOf(kind, groups, missing, directory);
        return { name, expected: statusOf(row[index] ?? '', kind, name, username) };
      }),
    );
    const answers = await Promise.all(
      cells.map(async ({ name }) => {
        const status = await review(client, tokens.get(`${name} ${username}`) ?? '');
        return [name, status] as const;
      }),
    );
    expect(Object.fromEntries(answers)).toEqual(
      Object.fromEntries(cells.map(({ name, expected }) => [name, expected])),
    );
    if (reason === '') return;
    for (const { name } of cells) {
      const isIt = (line: LogLine) =>
        line.authenticator === name && String(line.reason).includes(reason);
      await gateway.output.waitForLine(isIt, `with ${name} and ${reason}`);
    }
  });
});
